"""Choosing channels of a whole network: all members of a clique group together."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from neumeta.models.family import Family
from neumeta.models.tensor_specs import Shape
from neumeta.tracing.groups import Group


def take_channels(
    weights: Mapping[str, Tensor], groups: Sequence[Group], chosen: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Keep the chosen channels, in the chosen order, with their weights unchanged.

    Args:
        weights: Parameters by name.
        groups: The clique groups that morph.
        chosen: Indices per group name, shape (channels,).

    Returns:
        New parameters; tensors in no group are shared with the input.
    """
    taken = dict(weights)
    for group in groups:
        for name, axis in group.axes:
            taken[name] = taken[name].index_select(axis, chosen[group.name])
    return taken


def keep_top(
    base: Mapping[str, Tensor],
    groups: Sequence[Group],
    scores: Mapping[str, Tensor],
    shapes: Mapping[str, Shape],
) -> dict[str, Tensor]:
    """Cut a network to the channels with the highest scores, which stay in their order.

    Args:
        base: Parameters by name at the base point.
        groups: The clique groups that morph.
        scores: Per group name, shape (channels,).
        shapes: Of the parameters at the target point.

    Returns:
        All parameters by name at the target point.
    """
    kept = {}
    for group in groups:
        name, axis = group.axes[0]
        top = scores[group.name].topk(shapes[name][axis])
        kept[group.name] = top.indices.sort().values
    return take_channels(base, groups, kept)


def leading_channels(
    weights: Mapping[str, Tensor], family: Family, shapes: Mapping[str, Shape]
) -> dict[str, Tensor]:
    """Take the first channels of every group, as views.

    Args:
        weights: Parameters by name, of a network that is large enough.
        family: Gives the axes.
        shapes: Of the parameters at the target point.

    Returns:
        Generated tensors by name at the target point.
    """
    taken = {}
    for name in family.generated:
        value = weights[name]
        for axis in family.morphing_axes[name]:
            value = value.narrow(axis, 0, shapes[name][axis])
        taken[name] = value
    return taken
