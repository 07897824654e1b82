"""Keeps what twins wrote, so that code which was compared once is not run again.

After a comparison the new code is the old code of the next one. A kept run is named after a hash
of all it depends on: code, command, parameters, inputs and the machine.
"""

import hashlib
import json
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch

from neumeta.core.files import sha256_of
from neumeta.gate.results import Result

FORMAT = 3  # of what is kept of a run


def digest_of_files(folder: Path, paths: Iterable[Path]) -> str:
    """Hash files, by name and content.

    Args:
        folder: What names are relative to.
        paths: Files.

    Returns:
        64 hexadecimal digits.
    """
    lines = [f"{path.relative_to(folder).as_posix()} {sha256_of(path)}" for path in sorted(paths)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def run_key(result: Result, code: str, folder: Path, given: str) -> str:
    """Name a run.

    Args:
        result: What is run.
        code: Hash of the code of its stage.
        folder: Where it runs; holds its inputs and params.yaml.
        given: Hash of the data and base networks that were made for the twins.

    Returns:
        24 hexadecimal digits.
    """
    inputs = digest_of_files(folder, _inputs(result, folder))
    machine = [platform.python_version(), torch.__version__, platform.processor(), platform.node()]
    params = sha256_of(folder / "params.yaml")
    text = json.dumps([FORMAT, code, result.command, params, inputs, given, machine])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _inputs(result: Result, folder: Path) -> list[Path]:
    found: list[Path] = []
    for dep in result.deps:
        place = folder / dep
        found += [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    return found


class Memory:
    """The folder of kept runs."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; the first run makes it.

        Args:
            folder: Where runs are kept.
        """
        self.folder = folder
        self._used: set[str] = set()

    def restore(self, key: str, target: Path, notes: Path | None) -> bool:
        """Put the outs of a kept run in place.

        Args:
            key: See `run_key`.
            target: The folder in which it would have run.
            notes: Where the notes of its statements go; None if they are not wanted.

        Returns:
            False if there is none, or none with notes where they are wanted.
        """
        kept = self.folder / key
        if not (kept / "outs").is_dir() or (notes and not (kept / "notes").is_file()):
            return False
        shutil.copytree(kept / "outs", target, dirs_exist_ok=True)
        if notes:
            notes.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(kept / "notes", notes)
        self._used.add(key)
        return True

    def keep(self, key: str, source: Path, outs: Iterable[str], notes: Path | None) -> None:
        """Keep what a run wrote.

        Args:
            key: See `run_key`.
            source: The folder in which it ran.
            outs: What it wrote there.
            notes: The notes of its statements, if there are any.
        """
        draft = self.folder / f".{key}"
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "outs").mkdir(parents=True)
        for out in outs:
            target = draft / "outs" / out
            target.parent.mkdir(parents=True, exist_ok=True)
            if (source / out).is_dir():
                shutil.copytree(source / out, target)
            elif (source / out).is_file():
                shutil.copy(source / out, target)
        if notes is not None and notes.is_file():
            shutil.copy(notes, draft / "notes")
        shutil.rmtree(self.folder / key, ignore_errors=True)
        draft.rename(self.folder / key)
        self._used.add(key)

    def forget_others(self) -> None:
        """Delete the runs that were neither made nor restored here."""
        for path in self.folder.glob("*"):
            if path.name not in self._used:
                shutil.rmtree(path, ignore_errors=True)
