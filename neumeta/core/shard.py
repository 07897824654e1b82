"""A share of a list of jobs, as `--shard I/N` asks for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from neumeta.core.errors import UserError

T = TypeVar("T")
_SHARD = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")


@dataclass(frozen=True)
class Shard:
    """One share of a list of jobs.

    Example: shard 2/3 of [a, b, c, d, e] is [b, e].

    Attributes:
        index: Which one, from 1.
        count: How many there are.
    """

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

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


def asked_shard(text: str | None) -> Shard | None:
    """Read the flag `--shard` of a stage.

    Args:
        text: Its value; None where it was not given.

    Returns:
        The share; None for the whole work.
    """
    return None if text is None else parse_shard(text)
