"""The axes along which networks of a family differ, and the points on them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A number in which networks of a family differ.

    Attributes:
        name: As in params, headers and messages, such as `width`.
        low: Smallest value that may be built.
        high: Largest value that may be built.
        base: Value of the base network.
        unit: Of the values, such as `channels`.
    """

    name: str
    low: int
    high: int
    base: int
    unit: str


@dataclass(frozen=True, order=True)
class Point:
    """One network of a family: a whole number on each of its axes.

    Points compare by value; those of one family are ordered by their first axis, then the next.
    A family makes them, see `Family.at`, so that names and ranges are checked.

    Example: `family.at(width=32)` reads `width 32` in messages, and its `["width"]` is 32.

    Attributes:
        coordinates: Pairs of axis and value, by name of the axis.
    """

    coordinates: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, values: Mapping[str, int]) -> "Point":
        """Put values in order.

        Args:
            values: By name of the axis.

        Returns:
            The point.
        """
        return cls(tuple(sorted(values.items())))

    def __getitem__(self, axis: str) -> int:
        return self.values()[axis]

    def __str__(self) -> str:
        return ", ".join(f"{axis} {value}" for axis, value in self.coordinates)

    def values(self) -> dict[str, int]:
        """Take the point apart.

        Returns:
            Value by name of the axis, JSON-ready.
        """
        return dict(self.coordinates)

    def moved(self, **values: int) -> "Point":
        """Go along some axes.

        Args:
            **values: New value by name of the axis.

        Returns:
            Another point.
        """
        return Point.of(self.values() | values)
