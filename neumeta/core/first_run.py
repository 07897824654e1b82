"""A record tells of the run that first made its results: a run that makes them again keeps it.

So a pipeline that reproduces every byte leaves the working tree as it is committed, though it took
another time on another machine.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from neumeta.core.files import sha256_of

# What makes two runs the same: the same was asked for, and the same came out.
_DECIDES = ("stage", "params", "outs")
_WAIT_SECONDS = 30


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
