"""How units lie in a convolution with several groups: what of it goes when some of them do."""

from collections import Counter
from typing import Literal

from torch import nn
from torch.nn.modules.conv import _ConvNd

from neumeta.models.traced.places import layer_of
from neumeta.tracing.groups import Group, Member

Cut = Literal["whole", "within", "uneven"]


def cut_of(layer: _ConvNd, member: Member) -> Cut:
    """Tell what of a convolution goes with a unit.

    Example: a depthwise convolution loses `whole` groups. Of two groups with rows 0 to 3 and 4 to
    7, a unit of rows 1 and 5 leaves two groups with three rows each: it is `within` them. A unit
    of row 1 alone leaves `uneven` groups, which no convolution has.

    Args:
        layer: With several groups.
        member: First axis of its weight.

    Returns:
        What goes.
    """
    rows = layer.in_channels if layer.transposed else layer.out_channels
    size = rows // layer.groups
    inside = [Counter(place // size for place in places) for places in member.places]
    if all(set(unit.values()) == {size} for unit in inside):
        return "whole"
    if all(len(unit) == layer.groups and len(set(unit.values())) == 1 for unit in inside):
        return "within"
    return "uneven"


def cuts_of(network: nn.Module, group: Group) -> dict[str, Cut]:
    """Tell what of grouped convolutions goes with the units of a group.

    Args:
        network: That has them.
        group: Of its units.

    Returns:
        By name of the layer.
    """
    found: dict[str, Cut] = {}
    for member in group.members:
        owner, name = layer_of(member.tensor)
        layer = network.get_submodule(owner)
        if not isinstance(layer, _ConvNd) or layer.groups == 1 or not name.startswith("weight"):
            continue
        if member.axis == 0:
            found[owner] = cut_of(layer, member)
        elif member.axis == 1:  # all groups have the same axis
            found.setdefault(owner, "within")
    return found
