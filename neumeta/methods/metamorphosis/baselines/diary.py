"""Finished jobs of the baselines, kept so that a change reruns what it concerns and no more.

Every job has a file, named after a hash of all it depends on: its own settings, and what all jobs
share, which is data, base network and code. An interrupted run goes on with the missing ones, and
so does a run with one width or one kind more.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neumeta.core.cache_key import state_key
from neumeta.core.files import atomic_write_text
from neumeta.measure.results import ResultRow

_log = logging.getLogger("neumeta")


@dataclass(frozen=True)
class Entry:
    """What one job found.

    Attributes:
        rows: Lines of the result table.
        seconds: Time spent.
    """

    rows: tuple[ResultRow, ...]
    seconds: float


class Diary:
    """The folder of the finished jobs of one experiment."""

    def __init__(self, root: str | Path, shared: Any, files: Iterable[str | Path]) -> None:
        """Name the folder; the first entry makes it.

        Args:
            root: Folder of one experiment's baselines.
            shared: JSON-ready settings that every job depends on.
            files: Files that every job depends on.
        """
        self.root = Path(root)
        self._shared = state_key(shared, files)

    def read(self, name: str, settings: Any) -> Entry | None:
        """Look a job up; a damaged entry is dropped with a warning, and the job runs again.

        Args:
            name: Name of the job.
            settings: JSON-ready settings of its own.

        Returns:
            What it found, to the last bit; None where it has not run.
        """
        path = self._path(name, settings)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            rows = tuple(ResultRow(**row) for row in content["rows"])
            return Entry(rows, float(content["seconds"]))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            reason = " ".join(str(error).split())
            _log.warning("%s: damaged (%s); running %s again", path, reason, name)
            path.unlink(missing_ok=True)
            return None

    def add(self, name: str, settings: Any, entry: Entry) -> None:
        """Keep what a job found, atomically.

        Args:
            name: Name of the job.
            settings: JSON-ready settings of its own.
            entry: What it found.
        """
        content = {"rows": [asdict(row) for row in entry.rows], "seconds": entry.seconds}
        text = json.dumps({"job": name, **content}) + "\n"  # NaN and infinity included
        atomic_write_text(self._path(name, settings), text)

    def forget_others(self, jobs: Sequence[tuple[str, Any]]) -> None:
        """Delete the entries that nothing asks for any more.

        Args:
            jobs: Name and settings of those that are asked for.
        """
        kept = {self._path(name, settings) for name, settings in jobs}
        for path in set(self.root.glob("*.json")) - kept:
            path.unlink()

    def _path(self, name: str, settings: Any) -> Path:
        return self.root / f"{state_key([self._shared, name, settings], [])}.json"
