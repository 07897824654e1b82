"""Choosing channels of a whole network: all members of a clique group together."""

from collections.abc import Mapping

from torch import Tensor

from neumeta.models.family import Family, Shape


def take_channels(
    weights: Mapping[str, Tensor], family: Family, chosen: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Keep the chosen channels, in the chosen order, with their weights unchanged.

    Args:
        weights: Parameters by name.
        family: Gives the clique groups.
        chosen: Indices per group name, shape (channels,).

    Returns:
        New parameters; tensors in no group are shared with the input.
    """
    taken = dict(weights)
    for group in family.groups:
        for name, axis in group.members:
            taken[name] = taken[name].index_select(axis, chosen[group.name])
    return taken


def keep_top(
    base: Mapping[str, Tensor],
    family: Family,
    scores: Mapping[str, Tensor],
    shapes: Mapping[str, Shape],
) -> dict[str, Tensor]:
    """Cut a network to the channels with the highest scores, which stay in their order.

    Args:
        base: Parameters by name at the base width.
        family: Gives the clique groups.
        scores: Per group name, shape (channels,).
        shapes: Of the parameters at the target width.

    Returns:
        All parameters by name at the target width.
    """
    kept = {}
    for group in family.groups:
        name, axis = group.members[0]
        top = scores[group.name].topk(shapes[name][axis])
        kept[group.name] = top.indices.sort().values
    return take_channels(base, family, kept)


def leading_channels(
    weights: Mapping[str, Tensor], family: Family, shapes: Mapping[str, Shape]
) -> dict[str, Tensor]:
    """Take the first channels of every group, as views.

    Args:
        weights: Parameters by name, of a width that is large enough.
        family: Gives the axes.
        shapes: Of the parameters at the target width.

    Returns:
        Generated tensors by name at the target width.
    """
    taken = {}
    for name in family.generated:
        value = weights[name]
        for axis in family.morphing_axes[name]:
            value = value.narrow(axis, 0, shapes[name][axis])
        taken[name] = value
    return taken
