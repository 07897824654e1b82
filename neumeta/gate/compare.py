"""Compares what two runs wrote, byte for byte, and says where they differ first."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from neumeta.gate.worker import TENSORS, digest_of_tensors

_SHOWN = 60  # characters of a differing line


def first_difference(old: Path, new: Path, outs: Iterable[str]) -> str | None:
    """Compare the outs of one stage.

    Args:
        old: Folder of the one run.
        new: Folder of the other.
        outs: Files and folders below both.

    Returns:
        None if all bytes are equal, else where they are not. A record of a run, `*.run.json`, is
        no result: it may gain a note, but neither lose nor change one. The hash of its tensors
        in the header of a checkpoint follows from them, so it may come or go.
    """
    for out in outs:
        names = sorted({*_files(old, out), *_files(new, out)})
        if not names:
            return f"{out} was not written"
        for name in names:
            before, after = old / name, new / name
            if not before.is_file() or not after.is_file():
                return f"{name} is {'gone' if before.is_file() else 'new'}"
            if before.read_bytes() != after.read_bytes() and not _alike(before, after):
                return f"{name} differs{_place(before, after)}"
    return None


def _files(folder: Path, out: str) -> list[str]:
    place = folder / out
    found = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    return [path.relative_to(folder).as_posix() for path in found]


def _alike(before: Path, after: Path) -> bool:
    """Whether two unequal files hold the same result."""
    if before.suffix == TENSORS:
        return digest_of_tensors(before.read_bytes()) == digest_of_tensors(after.read_bytes())
    if not before.name.endswith(".run.json"):
        return False
    try:
        old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
    except ValueError:
        return False
    return isinstance(old, dict) and isinstance(new, dict) and _says_all(new, old)


def _says_all(new: Any, old: Any) -> bool:
    """Whether a value holds another one, with new notes in its mappings at most."""
    if isinstance(new, dict) and isinstance(old, dict):
        return all(name in new and _says_all(new[name], value) for name, value in old.items())
    return bool(new == old)


def _place(before: Path, after: Path) -> str:
    """Tensor or line in which two unequal files differ first; nothing for other formats."""
    if before.suffix == ".safetensors":
        try:
            with safe_open(before, "np") as one, safe_open(after, "np") as two:
                if one.metadata() != two.metadata():
                    return " in its header"
                if {*one.keys()} != {*two.keys()}:
                    return " in its tensors"
                unequal = [
                    name
                    for name in one.keys()  # noqa: SIM118
                    if one.get_tensor(name).tobytes() != two.get_tensor(name).tobytes()
                ]
            return f" in {len(unequal)} tensors, first {unequal[0]}" if unequal else ""
        except (SafetensorError, TypeError):
            return ""
    try:
        pairs = zip(
            before.read_text(encoding="utf-8").splitlines(),
            after.read_text(encoding="utf-8").splitlines(),
            strict=False,
        )
        for number, (one_line, other) in enumerate(pairs, 1):
            if one_line != other:
                start = max(
                    0,
                    next(
                        i
                        for i, (a, b) in enumerate(zip(one_line + "\0", other + "\0", strict=False))
                        if a != b
                    )
                    - 20,
                )
                cut = slice(start, start + _SHOWN)
                return f" in line {number}: {one_line[cut].strip()!r} -> {other[cut].strip()!r}"
    except UnicodeDecodeError:
        return ""
    return " in length"
