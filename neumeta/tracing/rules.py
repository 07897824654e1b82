"""The whole table of rules, and how operations without a rule are put together from others."""

from collections.abc import Callable
from functools import cache
from typing import Any

from torch._decomp import core_aten_decompositions
from torch._ops import OpOverload

from neumeta.tracing import (  # noqa: F401  (they fill the table)
    meeting,
    rules_image,
    rules_index,
    rules_layers,
    rules_reduce,
    rules_shape,
)
from neumeta.tracing.tracker import apply_rule, has_rule

__all__ = ["apply_rule", "decompositions"]


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
