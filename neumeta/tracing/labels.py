"""Which places of a tensor belong to which unit: the labels that a traced network carries along.

A unit is one place on one axis of one parameter, before anything is tied. Running a network on
labels ties units: those that must move together, whatever permutation keeps the function.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy import ndarray

FIXED = -1  # a place that must stay where it is; labels below are those of constants


@dataclass(frozen=True)
class Bundle:
    """Units of one or several dimensions of a tensor.

    Attributes:
        dims: Dimensions of the tensor, in the order of the axes of `ids`. Units may change places
            along the last one, at fixed places of the others.
        ids: Unit of every place; the size of an axis is that of its dimension.
    """

    dims: tuple[int, ...]
    ids: ndarray


@dataclass(frozen=True)
class Labels:
    """Labels of one tensor.

    Attributes:
        shape: Shape of the tensor.
        bundles: Units; no dimension is in two. Places along every other dimension are fixed.
        even: Dimensions along which all places hold one number, as of zeros or of an expanded
            tensor: whatever meets them there stays free. No bundle is on them.
    """

    shape: tuple[int, ...]
    bundles: tuple[Bundle, ...] = ()
    even: frozenset[int] = frozenset()

    def on(self, dims: Iterable[int]) -> tuple[Bundle, ...]:
        """Bundles that touch any of these dimensions."""
        wanted = set(dims)
        return tuple(bundle for bundle in self.bundles if wanted & set(bundle.dims))

    def off(self, dims: Iterable[int]) -> tuple[Bundle, ...]:
        """Bundles that touch none of these dimensions."""
        touching = self.on(dims)
        return tuple(bundle for bundle in self.bundles if bundle not in touching)


def tidy(dims: Sequence[int], ids: ndarray) -> tuple[Bundle, ...]:
    """A bundle without the dimensions along which its units do not change; none if none is left."""
    kept = [
        axis
        for axis, size in enumerate(ids.shape)
        if size > 1 and not (ids == ids.take([0], axis=axis)).all()
    ]
    for axis in range(ids.ndim - 1, -1, -1):
        if axis not in kept:
            ids = ids.take(0, axis=axis)
    if not kept:
        return ()
    return (Bundle(tuple(dims[axis] for axis in kept), ids),)


@dataclass
class Ledger:
    """What is found out about units while labels pass through a network.

    Attributes:
        ties: Arrays of pairs of units that move together, shape (n, 2).
        pins: Units that must stay, with the reason.
        marks: Units and what tells them from others.
        sightings: Number of an operation and the units in its result.
        sums: Units in which two results are added up, each of which follows from the inputs.
    """

    ties: list[ndarray] = field(default_factory=list)
    pins: list[tuple[ndarray, str]] = field(default_factory=list)
    marks: list[tuple[ndarray, ndarray]] = field(default_factory=list)
    sightings: list[tuple[int, Bundle]] = field(default_factory=list)
    sums: list[ndarray] = field(default_factory=list)

    def tie(self, first: ndarray, second: ndarray, reason: str) -> ndarray:
        """Tie units place by place.

        Args:
            first: Units.
            second: Units, broadcast against `first`.
            reason: Why places that meet a fixed one must stay.

        Returns:
            Units that stand for both.
        """
        first, second = np.broadcast_arrays(first, second)
        differ = (first != second) & (first >= 0) & (second >= 0)
        if differ.any():
            self.ties.append(np.stack([first[differ], second[differ]], axis=1))
        for one, other in ((first, second), (second, first)):
            self.pin(one[other == FIXED], reason)
            constant = other < FIXED
            if constant.any():  # units beside constants change places where these are equal
                self.mark(one[constant], mix(other[constant]))
        fixed = (first == FIXED) | (second == FIXED)
        return np.where(fixed, FIXED, np.where(first >= 0, first, second))

    def pin(self, ids: ndarray, reason: str) -> None:
        """Units that must stay where they are."""
        ids = ids[ids >= 0]
        if ids.size:
            self.pins.append((np.unique(ids), reason))

    def mark(self, ids: ndarray, marks: ndarray) -> None:
        """Tell units from those with other marks, or with another number of them."""
        seen = ids >= 0
        if seen.any():
            self.marks.append((ids[seen], np.broadcast_to(marks, ids.shape)[seen]))

    def release(self, bundle: Bundle, dims: Sequence[int], reason: str) -> ndarray:
        """Units of some dimensions alone: those at equal places of them are tied.

        Args:
            bundle: Which.
            dims: Dimensions of it.
            reason: Why places that meet a fixed one must stay.

        Returns:
            Units, with an axis for each of these dimensions.
        """
        axes = [bundle.dims.index(dim) for dim in dims]
        rows = np.moveaxis(bundle.ids, axes, range(len(axes)))
        shape = rows.shape[: len(axes)]
        rows = rows.reshape(prod(shape), -1)
        if rows.shape[1] > 1:
            tied = self.tie(rows[:, :1], rows[:, 1:], reason)
            first = np.where((tied == FIXED).any(axis=1), FIXED, tied.max(axis=1))
        else:
            first = rows[:, 0]
        return first.reshape(shape)

    def seen(self, labels: Labels, node: int) -> None:
        """Note where units are, so that only units seen alike are taken for alike."""
        self.sightings += [(node, bundle) for bundle in labels.bundles]

    def add_up(self, labels: Labels) -> None:
        """Note the units of a sum."""
        self.sums += [bundle.ids[bundle.ids >= 0] for bundle in labels.bundles]

    def marks_of(self, classes: ndarray) -> list[tuple[ndarray, ndarray]]:
        """What tells units from others, once it is known which of them are one.

        Places of a dimension along which a tied unit does not change are no context: where all
        pixels of a channel are one unit, channels may change places.

        Args:
            classes: Number of the class of every unit.

        Returns:
            Pairs of classes and marks; the sum of its marks tells a class.
        """
        found = [(classes[ids], values) for ids, values in self.marks]
        for node, bundle in self.sightings:
            ids = np.where(bundle.ids >= 0, classes[bundle.ids.clip(0)], bundle.ids)
            for tied in tidy(bundle.dims, ids):
                base = mix(np.array([node * 16 + tied.dims[-1]]))
                contexts = np.arange(prod(tied.ids.shape[:-1]), dtype=np.uint64)
                with np.errstate(over="ignore"):
                    marks = mix(base + contexts).reshape(*tied.ids.shape[:-1], 1)
                live = tied.ids >= 0
                found.append((tied.ids[live], np.broadcast_to(marks, tied.ids.shape)[live]))
        return found


def mix(values: ndarray) -> ndarray:
    """Spread 64-bit numbers (the finaliser of splitmix64), so that sums of them tell sets apart."""
    x = values.astype(np.uint64)
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
