"""Hashes of files that are asked for again and again: made once, and anew where a file changed."""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from neumeta.core.errors import UserError
from neumeta.core.files import sha256_of, write_json

REMEMBERED = Path("data/.resume/hashes.json")
_DIGITS = 16


class FileHashes:
    """Remembers hashes by path, size and times of a file, as DVC does for what it tracks."""

    def __init__(self, memory: str | Path = REMEMBERED) -> None:
        """Read what is remembered.

        Args:
            memory: The file; a missing or damaged one is empty.
        """
        self.memory = Path(memory)
        self._known: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            found = json.loads(self.memory.read_text(encoding="utf-8"))
            self._known = found if isinstance(found, dict) else {}

    def of(self, path: Path) -> str:
        """Hash a file.

        Args:
            path: The file.

        Returns:
            The sha256 as 64 hexadecimal digits.

        Raises:
            UserError: If it cannot be read.
        """
        try:
            state = path.stat()
            form = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
            key = str(path.absolute())
            entry = self._known.get(key)
            if not isinstance(entry, list) or entry[:-1] != form:
                entry = [*form, sha256_of(path)]
        except OSError as error:
            raise UserError(f"{path}: cannot read: {error.strerror}") from error
        self._used[key] = entry
        return str(entry[-1])

    def fingerprint(self, files: Iterable[tuple[str, Path]]) -> str:
        """Hash names and contents of files together.

        Args:
            files: Name and path of each.

        Returns:
            Their number, and 16 hexadecimal digits that differ where a name or a content does.
        """
        digest, count = hashlib.sha256(), 0
        for name, path in sorted(files):
            digest.update(f"{json.dumps(name)} {self.of(path)}\n".encode())
            count += 1
        return f"{count} {'file' if count == 1 else 'files'}, {digest.hexdigest()[:_DIGITS]}"

    def keep(self) -> None:
        """Remember the hashes of what was asked for, if anything was."""
        if self._used and self._used != self._known:
            write_json(self.memory, {**self._known, **self._used})
