"""The whole table of rules, and how operations without a rule are put together from others."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions
from torch._ops import OpOverload

from neumeta.permute import (  # noqa: F401  (they fill the table)
    meeting,
    rules_image,
    rules_index,
    rules_layers,
    rules_reduce,
    rules_shape,
)
from neumeta.permute.tracker import apply_rule, has_rule

__all__ = ["apply_rule", "decompositions", "pad_circular"]


@cache
def decompositions() -> dict[OpOverload, Callable[..., Any]]:
    """Say how operations without a rule are put together from others, as torch itself does.

    Returns:
        By operation, a function that takes its arguments.
    """
    return {
        operation: made
        for operation, made in core_aten_decompositions().items()
        if isinstance(operation, OpOverload) and not has_rule(operation)
    }


def pad_circular(image: Tensor, pad: Sequence[int]) -> Tensor:
    """Pad an image by what is at its other side; torch itself writes into an empty tensor.

    Args:
        image: Any number of dimensions.
        pad: Places before and after, the last dimension first.

    Returns:
        The padded image.
    """
    for number in range(len(pad) // 2):
        dim, (before, after) = image.ndim - 1 - number, pad[2 * number : 2 * number + 2]
        size = image.shape[dim]
        inner = image.narrow(dim, max(-before, 0), size + min(before, 0) + min(after, 0))
        ends = [image.narrow(dim, size - before, before)] if before > 0 else []
        starts = [image.narrow(dim, 0, after)] if after > 0 else []
        image = torch.cat([*ends, inner, *starts], dim=dim)
    return image
