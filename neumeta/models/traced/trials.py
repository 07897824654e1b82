"""Trial runs of a network at other sizes: with which groups its own code can be run."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn

from neumeta.models.traced.places import Kept
from neumeta.models.traced.resize import resized
from neumeta.tracing.call import Forward
from neumeta.tracing.groups import Group
from neumeta.tracing.nested import numbers_in
from neumeta.tracing.record import place_in

_PATTERNS = 8  # of sizes that are tried
_FEW = 3
_LONGEST = 120  # letters of an error of somebody's code


def first_units(sizes: Mapping[str, int], groups: Sequence[Group]) -> Kept:
    """Keep the first units of every group; where more are wanted, begin again from the first.

    Args:
        sizes: Units by name of the group.
        groups: The groups.

    Returns:
        Units to be kept, by name of the group.
    """
    return {g.name: [unit % len(g) for unit in range(sizes[g.name])] for g in groups}


def _tried(units: int, pattern: int) -> int:
    """About two thirds; one more or not is as good as drawn for every number of units."""
    drawn = random.Random(units).getrandbits(_PATTERNS) >> pattern & 1 if pattern else 0
    return max(1, (2 * units + 1) // 3 + (drawn if units > _FEW else 0))


@dataclass(frozen=True)
class Trials:
    """Runs of a network at other sizes, on its own example.

    Attributes:
        network: Not changed.
        examples: Arguments of its forward.
        forward: How it is called.
        faults: By name of a group, why it cannot have another size; known once it was tried.
    """

    network: nn.Module
    examples: tuple[Any, ...]
    forward: Forward | None
    faults: dict[str, str] = field(default_factory=dict)

    def running(self, groups: Sequence[Group]) -> list[Group]:
        """Find the groups with which the network can be run at another size.

        Args:
            groups: Tried together, and in halves where that fails.

        Returns:
            Those, in the same order.
        """
        if not groups or self._runs(groups):
            return list(groups)
        if len(groups) == 1:
            return []
        middle = len(groups) // 2
        kept = [*self.running(groups[:middle]), *self.running(groups[middle:])]
        return kept if self._runs(kept) else self._one_by_one(kept)

    def _one_by_one(self, groups: Sequence[Group]) -> list[Group]:
        kept: list[Group] = []
        for group in groups:
            if self._runs([*kept, group]):
                kept.append(group)
        return kept

    def _runs(self, groups: Sequence[Group]) -> bool:
        """Whether it can be run with two thirds of their units; the last is at fault if not."""
        fault = self.fault(groups) if groups else None
        if fault:
            self.faults[groups[-1].name] = fault
        return not fault

    def fault(self, groups: Sequence[Group]) -> str | None:
        """Run the network with about two thirds of the units of some groups.

        Sizes are tried that have other remainders: code that cuts its channels in halves runs at
        some of them alone. Groups of equal size stay of equal size, as at any one width.

        Args:
            groups: Which.

        Returns:
            Why it cannot be run so, or returns other shapes than before; None if it can.
        """
        for pattern in range(_PATTERNS):
            sizes = {group.name: _tried(len(group), pattern) for group in groups}
            try:
                made = resized(self.network, groups, first_units(sizes, groups))
                if self._shapes(made) == self._before:
                    continue
            except Exception as error:  # whatever its code says of these sizes
                place = place_in(error.__traceback__)
                where = f", at {place}" if place else ""
                text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
                return f"the code of the network asks for this size{where}: {text}"
            return "the outputs would have another shape"
        return None

    @cached_property
    def _before(self) -> list[tuple[int, ...]]:
        return self._shapes(self.network)

    def _shapes(self, network: nn.Module) -> list[tuple[int, ...]]:
        with torch.no_grad():
            call = self.forward or (lambda net, *args: net(*args))
            return [tuple(value.shape) for value in numbers_in(call(network, *self.examples))]
