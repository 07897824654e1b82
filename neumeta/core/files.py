"""Writing files so that a reader sees the old content or the new one, never half of it."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError

_PREFIX = 100  # of a name: the temporary one must not be too long where the whole one is not


def file_name(path: object) -> str:
    """Take the name of a file from whatever may name one.

    Args:
        path: A text, bytes or path; whoever calls from Python may give anything.

    Returns:
        The name.

    Raises:
        UserError: If it is none, as an open file, or a name that no file can have.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise UserError(f"a file is named by a text or a path, not by {type(path).__name__}")
    name = os.fsdecode(path)
    if not name or "\0" in name:
        raise UserError(f"{name!r} is no name of a file")
    return name


@called_by_users
def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` through a temporary file in the same folder.

    Args:
        path: Target; parent folders are made.
        data: The whole content.

    Raises:
        UserError: If the target cannot be written; an earlier file stays as it was.
    """
    target = Path(file_name(path))
    if target.exists() and not target.is_file():
        what = "a folder" if target.is_dir() else "no regular file"
        raise UserError(f"{target}: cannot write: is {what}; choose another name")
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:_PREFIX]}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise UserError(f"{target}: cannot write: {reason}; choose a writable path") from error


def check_writable(path: str | Path) -> None:
    """Fail before the work instead of after it when the output cannot be written.

    Args:
        path: Target; parent folders are made.

    Raises:
        UserError: If the folder cannot be made or written.
    """
    folder = Path(file_name(path)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path}: cannot write: {reason}; choose a writable path") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"{path}: cannot write: no permission; choose a writable path")


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text as it is, atomically; see `atomic_write_bytes`.

    Args:
        path: Target file.
        text: The whole content.
    """
    atomic_write_bytes(path, text.encode())


def json_text(value: Any, sort_keys: bool = True) -> str:
    """Write a value as indented JSON, so that equal values give equal text.

    Args:
        value: Anything `json` can write; NaN is refused.
        sort_keys: Whether the order of keys means nothing.

    Returns:
        The text, which ends with a line break.
    """
    return json.dumps(value, indent=2, sort_keys=sort_keys, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any, sort_keys: bool = True) -> None:
    """Write JSON atomically; see `json_text`.

    Args:
        path: Target file.
        value: Anything `json` can write; NaN is refused.
        sort_keys: Whether the order of keys means nothing.
    """
    atomic_write_text(path, json_text(value, sort_keys))


def sha256_of(path: str | Path) -> str:
    """Hash a file in blocks.

    Args:
        path: The file.

    Returns:
        The sha256 as 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
