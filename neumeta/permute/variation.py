"""Total variation: how rough a network's weights are along their channel axes."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from neumeta.models.groups import CliqueGroup


@dataclass(frozen=True)
class TotalVariation:
    """Total variation of a whole network, in both conventions of the field.

    Attributes:
        sum: Over all tensors and axes, undivided.
        per_tensor: `sum` divided by the number of tensors.
    """

    sum: float
    per_tensor: float


def variation_along(weight: Float[Tensor, "..."], axis: int) -> float:
    """Sum of absolute differences of neighbours along one axis.

    For a matrix w of m x n, axis 0 gives TV_out = sum |w[i+1, j] - w[i, j]| and axis 1 gives
    TV_in = sum |w[i, j+1] - w[i, j]|; kernel positions are summed. Source: supplement, section 2.

    Args:
        weight: Any tensor.
        axis: Which axis.

    Returns:
        The sum, in the unit of the weights; 0 for an axis of length 1.
    """
    return weight.double().diff(dim=axis).abs().sum().item()


def tensor_variation(weight: Float[Tensor, "..."]) -> float:
    """TV = TV_in + TV_out of one parameter; a bias has one axis only.

    Args:
        weight: Shape (out,), (out, in) or (out, in, kernel, kernel).

    Returns:
        The sum over its channel axes.
    """
    return sum(variation_along(weight, axis) for axis in range(min(weight.ndim, 2)))


def total_variation(weights: Mapping[str, Tensor]) -> TotalVariation:
    """Add up all parameters of a network.

    Args:
        weights: Parameters by name.

    Returns:
        The undivided sum and the mean per tensor.
    """
    total = sum(tensor_variation(weight) for weight in weights.values())
    return TotalVariation(total, total / len(weights))


def channel_distances(
    weights: Mapping[str, Tensor], group: CliqueGroup
) -> Float[Tensor, "channels channels"]:
    """L1 distance between channels, summed over all members of a clique group.

    The length of a path through these distances is the sum of the members' total variations
    along their shared axis: the objective of Algorithm 1, line 5.

    Args:
        weights: Parameters by name.
        group: Which tensors and axes share the order.

    Returns:
        Symmetric double-precision matrix with a zero diagonal.
    """
    rows = torch.cat(
        [
            weights[name].double().movedim(axis, 0).flatten(1)
            if weights[name].ndim > 1
            else weights[name].double()[:, None]
            for name, axis in group.members
        ],
        dim=1,
    )
    return torch.cdist(rows, rows, p=1)


def path_length(distances: Float[Tensor, "n n"], order: Tensor) -> float:
    """Length of the open path that visits channels in the given order.

    Args:
        distances: Symmetric matrix of distances between channels.
        order: A permutation of the channels, shape (n,).

    Returns:
        Sum of the distances of consecutive channels.
    """
    return distances[order[:-1], order[1:]].sum().item()
