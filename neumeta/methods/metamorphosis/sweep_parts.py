"""The parts of a width sweep: measured in any order and by any process, kept until they are joined.

A part is what one INR scores at one width. Finished parts lie in a folder named after a hash of
everything they depend on, so a changed parameter, input or line of code never meets a stale one.
"""

import json
import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from neumeta.core.cache_key import forget
from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_text
from neumeta.measure.results import ResultRow

T = TypeVar("T")
_log = logging.getLogger("neumeta")
_SHARD = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")


@dataclass(frozen=True)
class Unit:
    """The work behind one part.

    Attributes:
        seed: Seed of the INR.
        width: Base width h, channels; None for the INR's bypass floor.
    """

    seed: int
    width: int | None

    @property
    def name(self) -> str:
        """Name of the part's file, without ending.

        Returns:
            For example `seed-0-width-8` or `seed-0-bypass`.
        """
        return f"seed-{self.seed}-" + ("bypass" if self.width is None else f"width-{self.width}")


@dataclass(frozen=True)
class Part:
    """A measured unit.

    Attributes:
        rows: Its lines of the result table, in their order there; for the bypass floor, one that
            the table leaves out.
        seconds: Time spent on it.
    """

    rows: tuple[ResultRow, ...]
    seconds: float


@dataclass(frozen=True)
class Shard:
    """One share of a list of units.

    Example: shard 2/3 of [a, b, c, d, e] is [b, e].

    Attributes:
        index: Which one, from 1.
        count: How many there are.
    """

    index: int
    count: int

    def of(self, items: Sequence[T]) -> list[T]:
        """Take this shard's share; neighbours go to different shards, as their costs are alike.

        Args:
            items: The whole list.

        Returns:
            Its items number `index`, `index + count`, …
        """
        return list(items[self.index - 1 :: self.count])


def parse_shard(text: str) -> Shard:
    """Read the value of `--shard`.

    Args:
        text: `I/N`.

    Returns:
        Shard I of N.

    Raises:
        UserError: If it is anything else.
    """
    found = _SHARD.fullmatch(text)
    if not found or int(found[1]) > int(found[2]):
        raise UserError(f"--shard {text!r}: must be I/N with I from 1 to N, for example 1/4")
    return Shard(int(found[1]), int(found[2]))


class SweepParts:
    """The folder of the finished parts; several processes may use it at once."""

    def __init__(self, root: str | Path, key: str) -> None:
        """Name the folder, and forget parts of other keys; the first part makes it.

        Args:
            root: Folder of one experiment's sweep.
            key: See `neumeta.core.cache_key`.
        """
        self.root = Path(root)
        self.folder = self.root / key
        for stale in self.root.glob("*"):
            if stale != self.folder:
                shutil.rmtree(stale, ignore_errors=True)  # or another shard was faster

    def read(self, unit: Unit) -> Part | None:
        """Look a part up; a damaged one is dropped with a warning.

        Args:
            unit: What was measured.

        Returns:
            The part, or None while there is none.
        """
        path = self._path(unit)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Part(tuple(ResultRow(**row) for row in content["rows"]), content["seconds"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            _log.warning("%s: damaged (%s); measuring it again", path, " ".join(str(error).split()))
            path.unlink(missing_ok=True)
            return None

    def write(self, unit: Unit, part: Part) -> None:
        """Keep a part, atomically. Numbers come back as they were, to the last bit, NaN too.

        Args:
            unit: What was measured.
            part: The result.
        """
        content = {"rows": [asdict(row) for row in part.rows], "seconds": part.seconds}
        atomic_write_text(self._path(unit), json.dumps(content))

    def remove(self) -> None:
        """Forget everything."""
        forget(self.root)

    def _path(self, unit: Unit) -> Path:
        return self.folder / f"{unit.name}.json"
