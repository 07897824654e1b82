"""Plain resampling of weights to other sizes: a baseline, and the warm start's target."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

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
    below = positions.floor().long()
    share = (positions - below).to(weight.dtype).to(weight.device)
    lower = below.to(weight.device)
    upper = (lower + 1).clamp(max=length - 1)
    share = share.view([-1 if a == axis else 1 for a in range(weight.ndim)])
    return weight.index_select(axis, lower) * (1 - share) + weight.index_select(axis, upper) * share


def resampled(
    weight: Float[Tensor, "..."], shape: Sequence[int], axes: Sequence[int], origin: Origin = "edge"
) -> Float[Tensor, "..."]:
    """Resample a tensor linearly along several axes.

    It is rescaled by the ratio of the fan-ins, so that sums over inputs keep their size.

    Args:
        weight: Of a layer: (out,), (out, in) or (out, in, kernel, kernel).
        shape: New shape.
        axes: Those whose length may change, ascending.
        origin: See `resample`.

    Returns:
        The tensor of that shape.
    """
    result = weight
    for axis in axes:
        result = resample(result, axis, shape[axis], origin)
        if axis == 1:
            result = result * (weight.shape[1] / shape[1])
    return result
