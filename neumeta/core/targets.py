"""What a command may write over: what it made itself, and nothing else that a user has.

A file that is there is replaced only by a file of its own kind, never an input of the same command,
and two outputs of a command are two files. An empty file may become anything.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError
from neumeta.core.files import file_name

_HEAD = 1 << 16  # bytes that tell a kind


@dataclass(frozen=True)
class Output:
    """A kind of output.

    Attributes:
        name: For people, with an article.
        suffix: That its names end in; empty for any.
        made: Whether a file, or a folder, that is there was made as such an output.
        folder: Whether it is a folder of files.
    """

    name: str
    suffix: str
    made: Callable[[Path], bool]
    folder: bool = False


def checkpoint(kind: str, suffix: str = ".safetensors") -> Output:
    """Say that a checkpoint is written.

    Args:
        kind: Its kind, such as `network`.
        suffix: That its name must end in.

    Returns:
        The kind of output.
    """

    def made(path: Path) -> bool:
        from neumeta.core.checkpoint import read_header  # imports torch

        try:
            return bool(read_header(path, kind))
        except UserError:
            return False

    return Output(f"a checkpoint of kind {kind!r}", suffix, made)


def table(columns: Collection[str]) -> Output:
    """Say that a CSV table is written.

    Args:
        columns: Its columns.

    Returns:
        The kind of output.
    """
    wanted = ",".join(columns)
    return Output(
        f"a table of {', '.join(list(columns)[:3])}, …",
        ".csv",
        lambda path: _head(path).splitlines()[:1] == [wanted],
    )


def json_of(*keys: str, **values: Any) -> Output:
    """Say that a JSON object is written.

    Args:
        *keys: Some that it has.
        **values: Some that it has, with their values.

    Returns:
        The kind of output.
    """

    def made(path: Path) -> bool:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return False
        return (
            isinstance(found, dict)
            and all(key in found for key in keys)
            and all(found.get(key) == value for key, value in values.items())
        )

    shown = [*keys, *(f"{key} {value!r}" for key, value in values.items())]
    return Output(f"a JSON object with {' and '.join(shown)}", ".json", made)


def record(stage: str) -> Output:
    """Say that the record of a run is written.

    Args:
        stage: Name of the stage.

    Returns:
        The kind of output.
    """
    return json_of("seconds", stage=stage)


def page() -> Output:
    """Say that a page of a report is written.

    Returns:
        The kind of output.
    """
    return Output("a page of neumeta", ".html", _is_page)


def folder_of(name: str, made: Callable[[Path], bool]) -> Output:
    """Say that files are written into a folder; other files there stay.

    Args:
        name: For people, with an article.
        made: Whether a folder with something in it is one of these.

    Returns:
        The kind of output.
    """
    return Output(name, "", made, folder=True)


def report_folder() -> Output:
    """Say that the folder of a report is written.

    Returns:
        The kind of output.
    """
    return folder_of("the folder of a report", lambda path: _is_page(path / "index.html"))


@called_by_users
def check_targets(
    inputs: Iterable[str | Path | None], outputs: Iterable[tuple[str | Path | None, Output]]
) -> None:
    """Refuse to write over anything but an earlier output, before any work is done.

    Args:
        inputs: Files and folders that are read; None for one that was not asked for.
        outputs: Where what is written, likewise.

    Raises:
        UserError: If an output is an input or another output, by whatever name, or stands where
            a file of another kind is.
    """
    read = [Path(file_name(path)) for path in inputs if path is not None]
    written: list[Path] = []
    for name, kind in outputs:
        if name is None:
            continue
        path = Path(file_name(name))
        if path.suffix != kind.suffix and kind.suffix:
            raise UserError(f"{path}: must end in {kind.suffix or 'a name'}, for {kind.name}")
        for other in read:
            if _same(path, other):
                raise UserError(f"{path}: is an input; choose another name for the output")
        for other in written:
            if _same(path, other) or _fold(path) == _fold(other):
                raise UserError(f"{path}: is the name of two outputs; they must be different files")
        _check_what_is_there(path, kind)
        written.append(path)


def _check_what_is_there(path: Path, kind: Output) -> None:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:  # no file can have such a name
        raise UserError(f"{path}: cannot write: {error.strerror}; choose another name") from error
    if not path.exists():
        return  # a dangling link, which becomes a file
    if kind.folder:
        if not path.is_dir():
            raise UserError(f"{path}: is a file; must be {kind.name}")
        if any(path.iterdir()) and not kind.made(path):
            raise UserError(
                f"{path}: holds other files, and is not {kind.name}; choose another folder"
            )
    elif not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise UserError(f"{path}: is {what}; choose another name")
    elif path.stat().st_size and not kind.made(path):
        raise UserError(
            f"{path}: is there, and is not {kind.name}; remove it or choose another name"
        )


def _same(path: Path, other: Path) -> bool:
    """Whether two names mean one file: by links of either kind, other spellings and cases."""
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(path, other)
    except OSError:  # one is not there
        return False


def _fold(path: Path) -> str:
    """The name as file systems see it that do not tell cases apart."""
    return os.path.realpath(path).casefold()


def _head(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_HEAD).decode("utf-8", "replace")


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return text[:15].lower() == "<!doctype html>" and "neumeta" in text
