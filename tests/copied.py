"""A copy of the project that a test may change, and the commands that run in it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from neumeta.stages._params_file import load_params
from neumeta.stages._selection import write_selection
from tests.together import run_together
from tests.toy import ROOT, shipped_params

FILES = ("dvc.yaml", "code.yaml", "requirements.lock", ".dvcignore", ".gitignore")
ALWAYS = "inputs"


class Project:
    """The copy."""

    def __init__(self, folder: Path) -> None:
        """Copy the code into a folder, as a git and DVC repository; what lies there stays."""
        self.folder = folder
        # With their bytecode, which saves its compiling in every process.
        shutil.copytree(ROOT / "neumeta", folder / "neumeta")
        (folder / "data").mkdir(exist_ok=True)
        shutil.copy(ROOT / "data/inputs.json", folder / "data")
        for name in FILES:
            shutil.copy(ROOT / name, folder)
        params = folder / "params.yaml"
        params.write_text(shipped_params(), encoding="utf-8")
        write_selection(params, load_params(params).selected())
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        (folder / ".dvc").mkdir()
        (folder / ".dvc/config").touch()  # as `dvc init` does

    def add(self, path: str, text: str) -> None:
        """Add to the end of a file, which is made if it is not there."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", encoding="utf-8") as stream:
            stream.write(text)

    def insert(self, path: str, before: str, text: str) -> None:
        """Put text before a line that is there once."""
        self.replace(path, before, text + before)

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace text that is there once."""
        place = self.folder / path
        text = place.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path}: {old!r}"
        place.write_text(text.replace(old, new), encoding="utf-8")

    def run(
        self, *commands: str, codes: Sequence[int] | None = None, cwd: Path | None = None
    ) -> list[str]:
        """Run `python -m …` one after the other, in the copy, and return what each said."""
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "NEUMETA_DATA_ROOT": str(self.folder / "raw"),
        }
        place = cwd or self.folder
        done = run_together([(place, command.split()) for command in commands], environment)
        said = [one.out + one.err for one in done]
        assert [one.status for one in done] == [*(codes or [0] * len(done))], "\n".join(said)
        return said


def stages_run(output: str) -> list[str]:
    """Names of the stages that `dvc repro` says it ran, without what they are looped over.

    The one that always runs is left out; it must be there.
    """
    found = [name.split("@")[0] for name in re.findall(r"Running stage '([^']+)'", output)]
    assert ALWAYS in found, output
    return [name for name in found if name != ALWAYS]
