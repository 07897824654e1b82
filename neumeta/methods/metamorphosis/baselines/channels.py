"""Choosing channels of a whole network: all members of a clique group together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.tensor_specs import Shape
from neumeta.models.traced.places import axes_after
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
    for (name, axis), index in _places(weights, groups, chosen).items():
        taken[name] = taken[name].index_select(axis, index.to(taken[name].device))
    return taken


def _places(
    weights: Mapping[str, Tensor], groups: Sequence[Group], chosen: Mapping[str, Tensor]
) -> dict[tuple[str, int], Tensor]:
    """Which places of every axis stay: units may have several, or share an axis with others."""
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    units = {name: index.tolist() for name, index in chosen.items()}
    return axes_after([replace(group, bare=()) for group in groups], units, shapes)


def keep_top(
    base: Mapping[str, Tensor],
    groups: Sequence[Group],
    scores: Mapping[str, Tensor],
    sizes: Mapping[str, int],
) -> dict[str, Tensor]:
    """Cut a network to the channels with the highest scores, which stay in their order.

    Args:
        base: Parameters by name at the base point.
        groups: The clique groups that morph.
        scores: Per group name, shape (channels,).
        sizes: Units of every group at the target point, by name.

    Returns:
        All parameters by name at the target point.
    """
    kept = {}
    for group in groups:
        top = scores[group.name].topk(sizes[group.name])
        kept[group.name] = top.indices.sort().values
    return take_channels(base, groups, kept)


def leading_channels(
    weights: Mapping[str, Tensor], family: Family, at: Point, shapes: Mapping[str, Shape]
) -> dict[str, Tensor]:
    """Take the first channels of every group, as views where they lie side by side.

    Args:
        weights: Parameters by name, of a network that is large enough.
        family: Gives the axes.
        at: The target point.
        shapes: Of the parameters at the target point.

    Returns:
        Generated tensors by name at the target point.
    """
    taken, layouts = {}, family.layouts(at)
    for name in family.generated:
        value = weights[name]
        for axis in family.morphing_axes[name]:
            if (layout := layouts.get((name, axis))) is None:
                value = value.narrow(axis, 0, shapes[name][axis])
            else:
                first = torch.tensor(layout.leading, device=value.device)
                value = value.index_select(axis, first)
        taken[name] = value
    return taken
