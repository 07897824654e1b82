"""Which old place stands at every place of an axis, once groups have other sizes."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from neumeta.tracing.groups import Group, Member

_PARAMETRIZED = ".parametrizations."
Axis = tuple[str, int]
Kept = Mapping[str, Sequence[int]]


def layer_of(tensor: str) -> tuple[str, str]:
    """Find the layer that a tensor belongs to, also where its weight is computed from others.

    Args:
        tensor: Name of a parameter or buffer, such as `conv.parametrizations.weight.original1`.

    Returns:
        Name of the layer, and the name that it has there, such as `conv` and `weight`.
    """
    owner, _, own = tensor.rpartition(".")
    before, found, after = f".{owner}.".partition(_PARAMETRIZED)
    return (before.removeprefix("."), after.partition(".")[0]) if found else (owner, own)


def axes_after(
    groups: Sequence[Group], kept: Kept, shapes: Mapping[str, Sequence[int]]
) -> dict[Axis, Int[Tensor, " size"]]:
    """Lay the units that groups keep out along the axes of their members.

    Example: of `conv -> flatten -> linear` with channels of four pixels, keeping the channels
    (2, 0) of three leaves rows 2 and 0 of the convolution, and columns 8 to 11, then 0 to 3 of the
    linear layer.

    Args:
        groups: Those whose size changes; they share no places.
        kept: By name of the group, the units it keeps in their new order. Unit k of them comes to
            the places of unit k; the places of all others vanish. Where they are more than there
            were, new places follow those of the last unit.
        shapes: Of the tensors.

    Returns:
        For every axis that a group touches, the old place that comes to every new one.
    """
    touched: dict[Axis, list[tuple[Member, Sequence[int]]]] = {}
    for group in groups:
        for member in (*group.members, *group.bare):
            touched.setdefault((member.tensor, member.axis), []).append((member, kept[group.name]))
    return {
        (tensor, axis): torch.tensor(_axis(members, int(shapes[tensor][axis])), dtype=torch.long)
        for (tensor, axis), members in touched.items()
    }


def _axis(members: Sequence[tuple[Member, Sequence[int]]], length: int) -> list[int]:
    comes: dict[int, list[int]] = {}  # old places that stand in the room of one of them
    for member, units in members:
        places, count = member.places, len(member.places)
        for unit, own in enumerate(places):
            for part, place in enumerate(own):
                comes[place] = [places[units[unit]][part]] if unit < len(units) else []
        for run in _runs(places[-1]):
            end = comes[places[-1][run[-1]]]
            for unit in range(count, len(units)):
                end += [places[units[unit]][part] for part in run]
    return [old for place in range(length) for old in comes.get(place, [place])]


def _runs(places: Sequence[int]) -> list[list[int]]:
    """Parts of a unit that lie side by side, such as the pixels of a channel after a flattening."""
    runs: list[list[int]] = [[0]]
    for part in range(1, len(places)):
        if places[part] == places[part - 1] + 1:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs
