"""Plain resampling of a network to another width: a baseline, and the warm start's target."""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from neumeta.models.family import Family

Origin = Literal["edge", "centre"]


def resample(
    weight: Float[Tensor, "..."], axis: int, size: int, origin: Origin = "edge"
) -> Float[Tensor, "..."]:
    """Resample linearly along one axis.

    Args:
        weight: Any tensor.
        axis: Which axis.
        size: New length.
        origin: Entry i of n lies at i/n (edge) or at (i + 0.5)/n (centre) of the axis.

    Returns:
        The tensor with `size` entries along the axis; the same tensor where nothing changes.
    """
    length = weight.shape[axis]
    if size == length:
        return weight
    offset = 0.5 if origin == "centre" else 0.0
    positions = (torch.arange(size, dtype=torch.float64) + offset) * length / size - offset
    positions = positions.clamp(0, length - 1)
    lower = positions.floor().long()
    upper = (lower + 1).clamp(max=length - 1)
    share = (positions - lower).to(weight.dtype)
    share = share.view([-1 if a == axis else 1 for a in range(weight.ndim)])
    return weight.index_select(axis, lower) * (1 - share) + weight.index_select(axis, upper) * share


def interpolate_weights(
    base: Mapping[str, Tensor], family: Family, width: int, origin: Origin = "edge"
) -> dict[str, Tensor]:
    """Resample the generated tensors of the (permuted) base network to a width.

    Weights are rescaled by the ratio of the fan-ins, so that sums over inputs keep their size.

    Args:
        base: Parameters by name at the base width.
        family: Tells which axes morph.
        width: Target width h, channels.
        origin: See `resample`.

    Returns:
        Generated tensors by name at the target width.
    """
    shapes = family.shapes(width)
    result = {}
    for name in family.generated:
        weight = base[name]
        for axis in family.morphing_axes[name]:
            weight = resample(weight, axis, shapes[name][axis], origin)
            if axis == 1:
                weight = weight * (base[name].shape[1] / shapes[name][1])
        result[name] = weight
    return result
