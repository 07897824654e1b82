"""Which groups of a network change their size, by how much, and why others do not."""

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from neumeta.core.errors import UserError
from neumeta.models.traced.bare import traced
from neumeta.models.traced.places import Kept
from neumeta.models.traced.resize import resized
from neumeta.tracing.call import Forward
from neumeta.tracing.cliques import Cliques, Pinned
from neumeta.tracing.groups import Group
from neumeta.tracing.nested import numbers_in
from neumeta.tracing.record import place_in

_LONGEST = 120  # letters of an error of somebody's code
Widths = int | float | Mapping[str, float]


@dataclass(frozen=True)
class Scope:
    """What shall change.

    Attributes:
        layers: Patterns of the names of groups, such as `blocks.4.*`.
        streams: Whether residual streams change, too, and not inner channels alone.
        multiple: Sizes are rounded to multiples of this, channels.
    """

    layers: tuple[str, ...] = ("*",)
    streams: bool = False
    multiple: int = 1


@dataclass(frozen=True)
class Held:
    """A group, or places of an axis, that keep their size.

    Attributes:
        name: Of the group, or of the tensor and its axis.
        size: Units, or places.
        reason: Why.
    """

    name: str
    size: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """Groups that may have any size.

    Attributes:
        groups: Those, in the order of the network; no two share a place.
        held: What keeps its size, with the reason.
        scope: As asked for.
        streams: Groups that keep their size because they are residual streams.
    """

    groups: tuple[Group, ...]
    held: tuple[Held, ...]
    scope: Scope
    streams: tuple[Group, ...] = ()

    def sizes(self, widths: Widths) -> dict[str, int]:
        """Units of every group.

        Args:
            widths: Share of the units, above 0; or shares by pattern of names, of which the first
                that fits counts, and all others stay whole.

        Returns:
            By name of the group, rounded to the nearest multiple, halves up, and at least one
            multiple.

        Raises:
            UserError: If a share is not above 0, or a pattern fits no group.
        """
        shares = widths if isinstance(widths, Mapping) else {"*": widths}
        for pattern, share in shares.items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 4:
                raise UserError(f"width {share!r} must be a share of the channels, above 0")
            if isinstance(widths, Mapping) and not any(
                fnmatch.fnmatchcase(group.name, pattern) for group in self.groups
            ):
                raise UserError(f"width of {pattern!r}: no group that changes has such a name")
        found: dict[str, int] = {}
        for group in self.groups:
            fitting = [s for p, s in shares.items() if fnmatch.fnmatchcase(group.name, p)]
            found[group.name] = rounded(
                len(group), float(fitting[0]) if fitting else 1.0, self._of(group)
            )
        return found

    def _of(self, group: Group) -> int:
        return self.scope.multiple if group.level == "channel" else 1


def rounded(units: int, share: float, multiple: int = 1) -> int:
    """Round a share of some units.

    Args:
        units: All of them.
        share: Above 0.
        multiple: What the result is a multiple of, where the units are more than that.

    Returns:
        The nearest multiple, halves up, at least one; all units for a share of one.
    """
    if share == 1 or units <= multiple:
        return units
    # 1e-9: shares such as 0.77 are no exact numbers
    return max(1, int(units * share / multiple + 0.5 + 1e-9)) * multiple


def first_units(sizes: Mapping[str, int], groups: Sequence[Group]) -> Kept:
    """Keep the first units of every group; where more are wanted, begin again from the first.

    Args:
        sizes: Units by name of the group.
        groups: The groups.

    Returns:
        Units to be kept, by name of the group.
    """
    return {g.name: [unit % len(g) for unit in range(sizes[g.name])] for g in groups}


def make_plan(
    network: nn.Module,
    *examples: Any,
    scope: Scope | None = None,
    forward: Forward | None = None,
    cliques: Cliques | None = None,
) -> Plan:
    """Find the groups of a network that may change their size.

    Args:
        network: In evaluation mode; not changed.
        *examples: Arguments of its forward, such as a batch of two images.
        scope: What shall change; all inner channels, if not given.
        forward: How it is called; see `traced`.
        cliques: The trace, where `traced` made it already.

    Returns:
        The plan; groups with which the network cannot be run at another size are held.

    Raises:
        UserError: If the network cannot be traced, or a pattern of the scope fits no group.
    """
    wanted = scope or Scope()
    found = cliques or traced(network, *examples, forward=forward)
    _check_scope(wanted, [group.name for group in found.groups])
    held: list[Held] = []
    taken: list[Group] = []
    streams: list[Group] = []
    for group in _disjoint(network, found, held):
        if not any(fnmatch.fnmatchcase(group.name, pattern) for pattern in wanted.layers):
            held.append(Held(group.name, len(group), "is outside the scope"))
        elif group.stream and not wanted.streams:
            streams.append(group)
            held.append(Held(group.name, len(group), "is a residual stream"))
        else:
            taken.append(group)
    trials = Trials(network, examples, forward)
    running = trials.running(taken)
    held += [
        Held(group.name, len(group), trials.faults[group.name])
        for group in taken
        if group not in running
    ]
    held += [_pinned(pin) for pin in found.pinned if pin.places > 1]
    return Plan(tuple(running), tuple(held), wanted, tuple(streams))


def _check_scope(scope: Scope, names: Sequence[str]) -> None:
    for pattern in scope.layers:
        if pattern != "*" and not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:3]
            such = f", such as {', '.join(map(repr, near))}" if near else ""
            raise UserError(
                f"scope {pattern!r} fits no group of this network; it has {len(names)}{such}"
            )


def _pinned(pin: Pinned) -> Held:
    return Held(f"{pin.tensor} axis {pin.axis}", pin.places, pin.reason)


def _disjoint(network: nn.Module, found: Cliques, held: list[Held]) -> list[Group]:
    """Groups without a common place: whole heads and blocks before the channels inside them."""
    blocks = [group for group in found.groups if group.level == "block"]
    taken: set[tuple[str, int, int]] = set()
    kept: list[Group] = []
    modules = dict(network.named_modules())
    for group in (*blocks, *(group for group in found.groups if group.level == "channel")):
        places = {(m.tensor, m.axis, p) for m in group.members for unit in m.places for p in unit}
        if taken & places:
            continue
        if group.level == "channel" and _splits_groups(modules, group):
            held.append(Held(group.name, len(group), "lies inside a group of a convolution"))
            continue
        taken |= places
        kept.append(group)
    order = {group.name: place for place, group in enumerate(found.groups)}
    return sorted(kept, key=lambda group: order[group.name])


def _splits_groups(modules: Mapping[str, nn.Module], group: Group) -> bool:
    """Whether the units are channels within one group of a convolution with several groups."""
    for member in group.members:
        owner, _, name = member.tensor.rpartition(".")
        layer = modules.get(owner)
        if isinstance(layer, _ConvNd) and layer.groups > 1 and name == "weight":
            depthwise = layer.groups in (layer.in_channels, layer.out_channels)
            if not depthwise or len(group) < layer.groups:
                return True
    return False


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

        Args:
            groups: Which.

        Returns:
            Why it cannot be run so, or returns other shapes than before; None if it can.
        """
        sizes = {group.name: max(1, (2 * len(group) + 1) // 3) for group in groups}
        try:
            made = resized(self.network, groups, first_units(sizes, groups))
            if self._shapes(made) == self._shapes(self.network):
                return None
        except Exception as error:  # whatever its code says of these sizes
            place = place_in(error.__traceback__)
            where = f", at {place}" if place else ""
            text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
            return f"the code of the network asks for this size{where}: {text}"
        return "the outputs would have another shape"

    def _shapes(self, network: nn.Module) -> list[tuple[int, ...]]:
        with torch.no_grad():
            call = self.forward or (lambda net, *args: net(*args))
            return [tuple(value.shape) for value in numbers_in(call(network, *self.examples))]
