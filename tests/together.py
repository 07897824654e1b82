"""Several commands in one process of their own, which saves the imports of all but the first."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DRIVER = Path(__file__).with_name("driver.py")


@dataclass(frozen=True)
class Done:
    """How one command ended.

    Attributes:
        status: Its exit status.
        out: What it wrote to the standard output.
        err: And to the standard error.
    """

    status: int
    out: str
    err: str


def run_together(
    commands: Sequence[tuple[Path, Sequence[str]]], environment: Mapping[str, str]
) -> list[Done]:
    """Run `python -m …` one after the other.

    Args:
        commands: For each the folder it runs in, and the words after `python -m`.
        environment: Of the process.

    Returns:
        How each ended.
    """
    with tempfile.TemporaryDirectory() as place:
        tasks = [
            {
                "words": list(words),
                "folder": str(folder),
                **{name: f"{place}/{number}.{name}" for name in ("out", "err", "status")},
            }
            for number, (folder, words) in enumerate(commands)
        ]
        listed = Path(place, "tasks.json")
        listed.write_text(json.dumps(tasks), encoding="utf-8")
        process = subprocess.run(
            [sys.executable, str(DRIVER), str(listed)],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=280,
        )
        texts = [
            [path.read_text(encoding="utf-8") if path.exists() else "" for path in paths]
            for paths in ([Path(str(task[n])) for n in ("status", "out", "err")] for task in tasks)
        ]
    told = process.stderr + "".join(out + err for _, out, err in texts)
    assert process.returncode == 0 and all(status for status, _, _ in texts), told
    return [Done(int(status), out, err) for status, out, err in texts]
