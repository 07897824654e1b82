"""How units lie along an axis where they are more than one place each, or share it with others.

After a flattening a channel is as many places as it has pixels; of packed projections a head is its
rows of queries, keys and values; after a concatenation the channels of two groups stand side by
side. Equal parts of all units of a group, in the order of the units, are a segment: along it places
follow the width as the channels of a plain axis do, and to the next one they do not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from neumeta.models.resampling import Origin, resample
from neumeta.models.traced.places import axes_after
from neumeta.tracing.groups import Group, Member

FIXED = ""  # group of places that stay


@dataclass(frozen=True)
class Segment:
    """One part of all units of a group.

    Attributes:
        group: Its name; `FIXED` for places that belong to none.
        base: Places in the base network, one for each unit.
        places: Likewise, in the network.
    """

    group: str
    base: tuple[int, ...]
    places: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """An axis of a tensor at one point of a family.

    Attributes:
        segments: In the order of their first places in the base network.
    """

    segments: tuple[Segment, ...]

    @cached_property
    def ranks(self) -> tuple[float, ...]:
        """Where each place stands: segment by segment, each as long as in the base network.

        Returns:
            In places of this axis, by place.
        """
        length, base = (
            sum(len(values) for values in sides)
            for sides in zip(*((s.places, s.base) for s in self.segments), strict=True)
        )
        found, start = [0.0] * length, 0.0
        for segment in self.segments:
            step = len(segment.base) / len(segment.places)
            for unit, place in enumerate(segment.places):
                found[place] = (start + unit * step) * length / base
            start += len(segment.base)
        return tuple(found)

    @cached_property
    def owners(self) -> tuple[tuple[str, int], ...]:
        """Whose each place is.

        Returns:
            Group and unit, by place.
        """
        found = {
            place: (segment.group, unit)
            for segment in self.segments
            for unit, place in enumerate(segment.places)
        }
        return tuple(found[place] for place in range(len(found)))

    @cached_property
    def leading(self) -> tuple[int, ...]:
        """Which places of the base network its first units have.

        Returns:
            By place.
        """
        found = {
            place: segment.base[unit]
            for segment in self.segments
            for unit, place in enumerate(segment.places)
        }
        return tuple(found[place] for place in range(len(found)))

    def resampled(self, weight: Tensor, axis: int, origin: Origin) -> Tensor:
        """Resample a tensor of the base network, segment by segment.

        Args:
            weight: The tensor.
            axis: This axis of it.
            origin: See `resample`.

        Returns:
            The tensor as it is in this network; along an axis of inputs, sums keep their size.
        """
        length = sum(len(segment.places) for segment in self.segments)
        made = weight.new_zeros([length if a == axis else s for a, s in enumerate(weight.shape)])
        for segment in self.segments:
            before, after = (
                torch.tensor(places, device=weight.device)
                for places in (segment.base, segment.places)
            )
            part = resample(weight.index_select(axis, before), axis, len(after), origin)
            made.index_copy_(axis, after, part * (len(before) / len(after) if axis == 1 else 1.0))
        return made


def layout_of(
    groups: Sequence[Group], sizes: Mapping[str, int], tensor: str, axis: int, length: int
) -> Layout | None:
    """Lay an axis out.

    Args:
        groups: Those that change; they share no places.
        sizes: Units of each, by name.
        tensor: Name of a parameter.
        axis: Of it.
        length: Of that axis in the base network.

    Returns:
        The layout; None where no group has places there, or one has them all, one for each unit.
    """
    members = [
        (group, member)
        for group in groups
        for member in group.members
        if (member.tensor, member.axis) == (tensor, axis)
    ]
    if not members or (len(members) == 1 and _is_plain(members[0][1], length)):
        return None
    owners = {
        place: (group.name, part, unit, len(group))
        for group, member in members
        for unit, own in enumerate(member.places)
        for part, place in enumerate(own)
    }
    kept = {g.name: [unit % len(g) for unit in range(sizes[g.name])] for g, _ in members}
    only = [
        Group(g.name, tuple(m for g2, m in members if g2.name == g.name))
        for g in {g.name: g for g, _ in members}.values()
    ]
    shape = [length] * (axis + 1)
    now = axes_after(only, kept, {tensor: shape})[tensor, axis].tolist()
    parts: dict[tuple[str, int], tuple[dict[int, int], dict[int, int]]] = {}
    runs = 0
    for place in range(length):
        if place in owners:
            name, part, unit, _ = owners[place]
            parts.setdefault((name, part), ({}, {}))[0][unit] = place
        else:
            runs += place == 0 or place - 1 in owners
            parts.setdefault((FIXED, runs), ({}, {}))[0][place] = place
    seen: dict[int, int] = {}
    run_of = {place: key for key, (base, _) in parts.items() for place in base.values()}
    for new, old in enumerate(now):
        time = seen[old] = seen.get(old, -1) + 1
        unit = owners[old][2] + time * owners[old][3] if old in owners else old
        parts[run_of[old]][1][unit] = new
    segments = [
        Segment(name, *(tuple(side[unit] for unit in sorted(side)) for side in sides))
        for (name, _), sides in parts.items()
    ]
    return Layout(tuple(sorted(segments, key=lambda segment: min(segment.base))))


def _is_plain(member: Member, length: int) -> bool:
    return member.places == tuple((place,) for place in range(length))
