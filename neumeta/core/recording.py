"""Records of runs: when a stage ran, where, by what code, and what came out.

A record tells of the run that first made its results: a run that makes them again keeps it. So a
pipeline that reproduces every byte leaves the working tree as it is committed, though it took
another time on another machine.
"""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from neumeta.core.files import atomic_write_text, check_writable, sha256_of, write_json

# What makes two runs the same: the same was asked for, and the same came out.
_DECIDES = ("stage", "params", "outs")
_WAIT_SECONDS = 30
# What the pipeline itself rewrites: a difference there does not make the code another one.
_WRITTEN = (":(top,exclude)reports", ":(top,exclude)dvc.lock", ":(top,exclude)data/runs")


@contextmanager
def recorded(
    stage: str,
    path: str,
    outs: Sequence[str | Path],
    device: str = "cpu",
    earlier: float = 0.0,
    params: Mapping[str, BaseModel | str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Time the body and write the record of the run when it succeeds.

    The record is apart from a stage's results, so that these are the same bytes on every run. Where
    they are those of the committed record, it stays.

    Args:
        stage: Stage name.
        path: Target JSON file.
        outs: Files and folders that the body writes.
        device: Where the stage computed, as `device.describe` says it.
        earlier: Seconds of work done before the body, for example by an interrupted run, or side
            by side.
        params: What the stage was asked for, by its section in params.yaml, so that a report
            tells the parameters of the run and not those of the file as it is today.
        details: What else is worth a note, JSON-ready.

    Yields:
        Nothing.
    """
    import torch

    check_writable(path)
    start = time.perf_counter()
    yield
    record = {
        "stage": stage,
        "seconds": round(earlier + time.perf_counter() - start, 2),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "device": device,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "revision": git_revision(),
        "params": {
            name: part.model_dump(mode="json") if isinstance(part, BaseModel) else part
            for name, part in (params or {}).items()
        },
        **(details or {}),
        "outs": hashes_of(outs),
    }
    if (first := committed(path, record)) is not None:
        atomic_write_text(path, first)
    else:  # parameters stay in the order of their schema, for those who read them
        write_json(path, record, sort_keys=False)


def hashes_of(outs: Iterable[str | Path]) -> dict[str, str]:
    """Hash what a stage wrote.

    Args:
        outs: Files, and folders with all that is in them.

    Returns:
        sha256 by path, in the order of the paths.
    """
    found = {}
    for out in map(Path, outs):
        for path in sorted(out.rglob("*")) if out.is_dir() else [out]:
            if path.is_file():
                found[path.as_posix()] = sha256_of(path)
    return dict(sorted(found.items()))


def committed(path: str | Path, record: Mapping[str, Any]) -> str | None:
    """Look for the committed record of the same results.

    Args:
        path: Of the record.
        record: Of this run, JSON-ready.

    Returns:
        The text of the record at HEAD, if it tells of the same results; None without git, outside a
        repository, or if it tells of others.
    """
    place = Path(path)
    folder = next((parent for parent in place.absolute().parents if parent.is_dir()), Path("/"))
    name = place.absolute().relative_to(folder).as_posix()
    command = ["git", "-C", str(folder), "show", f"HEAD:./{name}"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_WAIT_SECONDS)
        text = done.stdout.decode("utf-8")
        known = json.loads(text)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    own = json.loads(json.dumps(dict(record)))
    same = isinstance(known, dict) and all(known.get(key) == own[key] for key in _DECIDES)
    return text if same else None


def git_revision(folder: str | Path = ".") -> str | None:
    """Name the code that runs.

    Args:
        folder: Somewhere in the repository.

    Returns:
        The short revision, with `-dirty` where code or data pointers differ from it; None
        outside a repository, before the first commit or without git.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    try:
        revision = git("rev-parse", "--short", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *_WRITTEN)
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{revision}-dirty" if changed else revision
