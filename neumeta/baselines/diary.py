"""Finished rows of an interrupted run, kept until the whole table is written."""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from neumeta.files import atomic_write_text
from neumeta.results import ResultRow
from neumeta.state_key import forget

_log = logging.getLogger("neumeta")


class Diary:
    """One file of finished jobs, named after a hash of all that they depend on."""

    def __init__(self, root: str | Path, key: str) -> None:
        """Open the diary, and forget those of other keys; the first entry makes the file.

        A damaged file is dropped with a warning: the run then starts from scratch.

        Args:
            root: Folder of one experiment's baselines.
            key: See `neumeta.state_key`.
        """
        self.root = Path(root)
        self.path = self.root / f"{key}.json"
        for stale in self.root.glob("*"):
            if stale != self.path:
                stale.unlink()
        self.rows: dict[str, list[ResultRow]] = {}
        self.seconds = 0.0
        if self.path.exists():
            self._read()

    def add(self, job: str, rows: Iterable[ResultRow], seconds: float) -> None:
        """Keep the rows of a finished job, atomically.

        Args:
            job: Its name.
            rows: What it measured; numbers come back as they were, to the last bit, NaN too.
            seconds: Time spent on it.
        """
        self.rows[job] = list(rows)
        self.seconds += seconds
        entries = {name: [asdict(row) for row in found] for name, found in self.rows.items()}
        atomic_write_text(self.path, json.dumps({"rows": entries, "seconds": self.seconds}))

    def remove(self) -> None:
        """Forget everything."""
        forget(self.root)

    def _read(self) -> None:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            entries, seconds = content["rows"].items(), float(content["seconds"])
            self.rows = {name: [ResultRow(**row) for row in rows] for name, rows in entries}
            self.seconds = seconds
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split())
            _log.warning("%s: damaged (%s); starting from scratch", self.path, reason)
            self.path.unlink()
