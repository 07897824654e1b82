"""A project in a git repository, with a package that is also called neumeta and needs only json."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from neumeta.core.history import git
from neumeta.core.identity import read_tree
from neumeta.core.ledger import LEDGER, identities, read_ledger
from neumeta.gate.accept import Outcome, Verdict, accept

TOOLS = '''\
"""Files."""

import json
import os
from pathlib import Path


def read(path):
    return json.loads(Path(path).read_text())


def write(path, value):
    with open(os.environ["TOY_LOG"], "a") as log:
        print(path, file=log)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(value))
'''

RULES = '''\
"""What training computes."""


def step(name, value):
    if name == "a":
        return value + 1
    if name == "c":
        return value + 3
    return value + 2
'''

DATA = """\
import time
from neumeta import tools


def main(argv):
    name, out, record = argv
    tools.write(out, len(name))
    tools.write(record, {"stage": "data", "seconds": time.time(), "revision": str(time.time())})
    return 0
"""

TRAIN = """\
from typing import TYPE_CHECKING
from neumeta import rules, tools

if TYPE_CHECKING:
    import torch


def main(argv):
    name, source, out = argv
    tools.write(out, rules.step(name, tools.read(source)))
    return 0
"""

REPORT = """\
from pathlib import Path
from neumeta import tools


def main(argv):
    folder, out = argv
    tools.write(out, [tools.read(path) for path in sorted(Path(folder).iterdir())])
    return 0
"""

FILES = {
    "neumeta/__init__.py": "",
    "neumeta/tools.py": TOOLS,
    "neumeta/rules.py": RULES,
    "neumeta/stages/__init__.py": "",
    "neumeta/stages/data.py": DATA,
    "neumeta/stages/train.py": TRAIN,
    "neumeta/stages/report.py": REPORT,
    "params.yaml": "data: {}\n",
    "requirements.lock": "torch==2.13.0\n",
    ".gitignore": "/data/.resume\n/toy.log\n__pycache__\n",
}
NAMES = ("a", "b")


class Project:
    """The repository, whose results are all by the code of its first commit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "toy.log"  # one line for each file that a stage wrote
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        for path, text in FILES.items():
            self.write(path, text)
        self.write_lock(identities(read_tree(root), {}))
        self.commit()

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text, which must be there, wherever it stands in a file."""
        text = (self.root / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        self.write(path, text.replace(old, new))

    def commit(self) -> str:
        """Commit all there is, and name the revision."""
        identity = ("-c", "user.name=Toy", "-c", "user.email=toy@example.org")
        git(self.root, "add", "-A")
        git(self.root, *identity, "commit", "-q", "--allow-empty", "-m", "Change")
        return git(self.root, "rev-parse", "HEAD").decode().strip()

    def lock(self) -> dict[str, Any]:
        """The runs of dvc.lock by name."""
        text = (self.root / "dvc.lock").read_text()
        stages: dict[str, Any] = YAML(typ="safe", pure=True).load(text)["stages"]
        return stages

    def write_lock(self, by: dict[str, str], names: Iterable[str] = NAMES) -> None:
        """Enter all results as made by these identities."""
        stages: dict[str, Any] = {"code": _run("code", (), (), ("code.json",), None)}
        for name in names:
            made = (f"data/{name}.json", f"data/{name}.run.json")
            trained = (f"inr/{name}.json",)
            stages[f"data@{name}"] = _run("data", (name, *made), (), made, by["data"])
            flags = (name, made[0], *trained)
            stages[f"train@{name}"] = _run("train", flags, made[:1], trained, by["train"])
        report = ("report.json",)
        stages["report"] = _run("report", ("inr", *report), ("inr",), report, by["report"])
        self.save_lock(stages)

    def save_lock(self, stages: dict[str, Any]) -> None:
        """Write dvc.lock."""
        with (self.root / "dvc.lock").open("w") as stream:
            YAML(typ="safe", pure=True).dump({"schema": "2.0", "stages": stages}, stream)

    def identities(self) -> dict[str, str]:
        """Identity of every stage as the files are now."""
        return identities(read_tree(self.root), read_ledger(self.root / LEDGER))

    def accept(self, why: str = "Tidy up", base: str | None = None) -> Outcome | None:
        """Compare with what made the results."""
        return accept(why, self.root, base, packages=("json",))

    def verdicts(self, base: str | None = None) -> dict[str, Verdict]:
        """Compare, and return what came out of it by stage."""
        outcome = self.accept(base=base)
        assert outcome is not None
        return {verdict.stage: verdict for verdict in outcome.verdicts}

    def written(self) -> list[str]:
        """What stages wrote since the last look."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


def _run(
    stage: str,
    flags: tuple[str, ...],
    deps: tuple[str, ...],
    outs: tuple[str, ...],
    identity: str | None,
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "cmd": f"python -m neumeta.stages.{stage} {' '.join(flags)}",
        "deps": [{"path": path} for path in deps],
        "outs": [{"path": path} for path in outs],
    }
    if identity is not None:
        entry["params"] = {"code.json": {stage: identity}}
    return entry
