"""Total variation: how rough a network's weights are along their channel axes."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


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
