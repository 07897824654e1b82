"""The exponential moving average (EMA) of the INR's weights."""

from collections.abc import Sequence

import torch
from torch import Tensor


def update_average(average: Sequence[Tensor], current: Sequence[Tensor], decay: float) -> None:
    """Move the exponential moving average (EMA) one step, in place.

    Args:
        average: The averaged weights.
        current: The trained weights, in the same order.
        decay: gamma; 0 copies the current weights.
    """
    with torch.no_grad():
        torch._foreach_lerp_(list(average), list(current), 1 - decay)
