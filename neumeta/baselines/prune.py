"""Magnitude pruning: keep the channels with the largest L1 norm over their clique group."""

from collections.abc import Mapping

import torch
from torch import Tensor

from neumeta.models.family import Family


def prune_l1(base: Mapping[str, Tensor], family: Family, width: int) -> dict[str, Tensor]:
    """Cut the base network to a smaller width.

    A channel's importance is the sum of absolute weights of its slices in all members of its
    group. Kept channels stay in their order, with their weights unchanged.

    Args:
        base: Parameters by name at the base width.
        family: Gives groups and target shapes.
        width: Target width h, channels; at most the base width.

    Returns:
        All parameters by name at the target width.
    """
    shapes = family.shapes(width)
    pruned = dict(base)
    for group in family.groups:
        first, axis = group.members[0]
        importance = torch.stack(
            [
                base[name].abs().transpose(0, member_axis).flatten(1).sum(1)
                if base[name].ndim > 1
                else base[name].abs()
                for name, member_axis in group.members
            ]
        ).sum(0)
        kept = importance.topk(shapes[first][axis]).indices.sort().values
        for name, member_axis in group.members:
            pruned[name] = pruned[name].index_select(member_axis, kept)
    return pruned
