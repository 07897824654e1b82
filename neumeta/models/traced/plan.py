"""Which groups of a network change their size, by how much, and why others do not."""

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import nn

from neumeta.core.errors import UserError
from neumeta.models.traced.bare import traced
from neumeta.models.traced.grouped import cuts_of
from neumeta.models.traced.trials import Trials, first_units
from neumeta.tracing.call import Forward
from neumeta.tracing.cliques import Cliques, Pinned
from neumeta.tracing.groups import Group

__all__ = ["Held", "Plan", "Scope", "first_units", "make_plan", "rounded"]
Share = int | float | Fraction
Widths = Share | Mapping[str, Share]
MOST_SHARE = 4  # beyond, a slip of a key is likelier


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
            number = isinstance(share, int | float | Fraction) and not isinstance(share, bool)
            if not number or not 0 < share <= MOST_SHARE:
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


def rounded(units: int, share: Share, multiple: int = 1) -> int:
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
    exact = Fraction(share).limit_denominator(10**6)  # 0.77 as it is written
    return max(1, int(units * exact / multiple + Fraction(1, 2))) * multiple


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
    trials = Trials(network, examples, forward)
    barred: set[str] = set()  # blocks with which it cannot be run; what is inside them may move
    while True:
        held: list[Held] = []
        streams: list[Group] = []
        taken = _in_scope(_disjoint(network, found, barred, held), wanted, streams, held)
        running = trials.running(taken)
        failing = [group for group in taken if group not in running]
        held += [Held(group.name, len(group), trials.faults[group.name]) for group in failing]
        blocks = {group.name for group in failing if group.level == "block"}
        if not blocks:
            break
        barred |= blocks
    moving = {place for group in running for place in _places(group)}
    held += [
        Held(group.name, len(group), trials.faults[group.name])
        for group in found.groups
        if group.name in barred and moving.isdisjoint(_places(group))
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


def _places(group: Group) -> set[tuple[str, int, int]]:
    return {(m.tensor, m.axis, p) for m in group.members for unit in m.places for p in unit}


def _in_scope(
    groups: Sequence[Group], scope: Scope, streams: list[Group], held: list[Held]
) -> list[Group]:
    taken: list[Group] = []
    for group in groups:
        if not any(fnmatch.fnmatchcase(group.name, pattern) for pattern in scope.layers):
            held.append(Held(group.name, len(group), "is outside the scope"))
        elif group.stream and not scope.streams:
            streams.append(group)
            held.append(Held(group.name, len(group), "is a residual stream"))
        else:
            taken.append(group)
    return taken


def _disjoint(
    network: nn.Module, found: Cliques, barred: set[str], held: list[Held]
) -> list[Group]:
    """Groups without a common place: whole heads and blocks before the channels inside them.

    Of a block that cannot go, channels can where they lie alike in all groups of a convolution.
    """
    blocks = [group for group in found.groups if group.level == "block"]
    taken: set[tuple[str, int, int]] = set()
    closed: set[tuple[str, int, int]] = set()
    kept: list[Group] = []
    for group in (*blocks, *(group for group in found.groups if group.level == "channel")):
        places = _places(group)
        if taken & places:
            continue
        cuts = cuts_of(network, group)
        if group.name in barred or (closed & places and "within" not in cuts.values()):
            closed |= places
            continue
        if uneven := [name for name, cut in cuts.items() if cut == "uneven"]:
            reason = f"would leave uneven groups of channels in the convolution {uneven[0]!r}"
            held.append(Held(group.name, len(group), reason))
            continue
        taken |= places
        kept.append(group)
    order = {group.name: place for place, group in enumerate(found.groups)}
    return sorted(kept, key=lambda group: order[group.name])
