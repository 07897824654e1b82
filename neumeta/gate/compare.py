"""Compares what two runs wrote, byte for byte, and says where they differ first."""

import json
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

_SHOWN = 60  # characters of a differing line


def first_difference(old: Path, new: Path, outs: Iterable[str]) -> str | None:
    """Compare the outs of one stage.

    Args:
        old: Folder of the one run.
        new: Folder of the other.
        outs: Files and folders below both.

    Returns:
        None if all bytes are equal, else where they are not. A record of a run, `*.run.json`, is
        no result: it may gain a note, but neither lose nor change one.
    """
    for out in outs:
        names = sorted({*_files(old, out), *_files(new, out)})
        if not names:
            return f"{out} was not written"
        for name in names:
            before, after = old / name, new / name
            if not before.is_file() or not after.is_file():
                return f"{name} is {'gone' if before.is_file() else 'new'}"
            if before.read_bytes() != after.read_bytes() and not _tells_more(before, after):
                return f"{name} differs{_place(before, after)}"
    return None


def _files(folder: Path, out: str) -> list[str]:
    place = folder / out
    found = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    return [path.relative_to(folder).as_posix() for path in found]


def _tells_more(before: Path, after: Path) -> bool:
    """Whether two unequal files are records of a run, and the second only says more."""
    if not before.name.endswith(".run.json"):
        return False
    try:
        old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
    except ValueError:
        return False
    return isinstance(old, dict) and isinstance(new, dict) and old.items() <= new.items()


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
