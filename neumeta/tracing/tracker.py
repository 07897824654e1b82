"""Labels on their way through a network, and the table of rules for its operations.

An operation without a rule pins whatever reaches it, so that a network with unknown operations
has fewer groups, with the reason. Groups are tried out in the end, see `verify`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from neumeta.tracing.draws import kind_of_draw
from neumeta.tracing.groups import Level
from neumeta.tracing.labels import FIXED, Bundle, Labels, Ledger, mix, tidy

Rule = Callable[["Tracker", Node, Sequence[Any], dict[str, Any]], Any]
_RULES: dict[str, Rule] = {}
POINTWISE, DRAW = "<pointwise>", "<draw>"  # names of the rules for all operations of these kinds


class Tracker:
    """Labels on their way through a network."""

    def __init__(self, level: Level, outer: frozenset[int] = frozenset()) -> None:
        """Start empty.

        Args:
            level: Where an axis is split into blocks, as into attention heads or groups of a
                convolution: `channel` moves places within their block, `block` whole blocks.
            outer: Nodes whose blocks are split again later, as q, k and v into heads: those
                blocks never move as a whole.
        """
        self.level = level
        self.node = 0
        self.units = 0
        self.outer = outer
        self.found_outer: set[int] = set()
        self._split_at: dict[int, int] = {}
        self.ledger = Ledger()
        self._constants = FIXED
        self._marks = 1 << 48  # above those of places in tensors

    def fresh(self, count: int) -> np.ndarray:
        """Units that nothing is known of yet.

        Args:
            count: How many.

        Returns:
            Their labels.
        """
        self.units += count
        return np.arange(self.units - count, self.units)

    def constant(self) -> int:
        """A fresh label for places that hold one number."""
        self._constants -= 1
        return self._constants

    def mark(self, ids: np.ndarray) -> None:
        """Tell each row of units from the other rows, and all of them from other units."""
        self._marks += len(ids)
        marks = np.arange(self._marks, self._marks + len(ids), dtype=np.uint64)
        self.ledger.mark(ids, mix(marks).reshape(-1, *[1] * (ids.ndim - 1)))

    def split(self, bundle: Bundle) -> tuple[Bundle, ...]:
        """What is left of an axis that was cut into blocks, at this level."""
        for unit in np.unique(bundle.ids[bundle.ids >= 0]).tolist():
            if unit in self._split_at:
                self.found_outer.add(self._split_at[unit])
            self._split_at[unit] = self.node
        if self.level == "channel" or self.node in self.outer:
            return (bundle,)
        kept = bundle.dims[:-1]
        return tidy(kept, self.ledger.release(bundle, kept, "moves with its block"))

    def alone(self, labels: Labels, dim: int, reason: str) -> np.ndarray:
        """Units along one dimension; fixed ones where there are none."""
        for bundle in labels.on([dim]):
            return self.ledger.release(bundle, [dim], reason)
        if dim in labels.even:
            return np.full(labels.shape[dim], self.constant())
        return np.full(labels.shape[dim], FIXED)

    def without(self, labels: Labels, dims: Iterable[int], reason: str) -> Labels:
        """Let nothing move along some dimensions."""
        dims = set(dims)
        bundles = list(labels.off(dims))
        for bundle in labels.on(dims):
            kept = [dim for dim in bundle.dims if dim not in dims]
            if kept:
                bundles += tidy(kept, self.ledger.release(bundle, kept, reason))
            else:
                self.ledger.pin(bundle.ids, reason)
        return Labels(labels.shape, tuple(bundles), labels.even)


def apply_rule(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Labels of the result of one operation.

    Args:
        tracker: Learns what the operation ties.
        node: The operation, with the shape of its result.
        args: Its arguments, labels in the place of tensors.
        kwargs: Likewise.

    Returns:
        Labels, or a sequence of them, or None where the result is no tensor.
    """
    try:
        return (_rule_of(node.target) or unknown)(tracker, node, args, kwargs)
    except (ValueError, IndexError, TypeError, KeyError):  # a form of it that the rule is not for
        return unknown(tracker, node, args, kwargs)


def has_rule(operation: Any) -> bool:
    """Tell whether labels can go through an operation.

    Args:
        operation: Of ATen.

    Returns:
        Whether there is a rule for it or its kind.
    """
    return _rule_of(operation) is not None


def _rule_of(operation: Any) -> Rule | None:
    if found := _RULES.get(str(operation)):
        return found
    if kind_of_draw(operation):
        return _RULES[DRAW]
    if torch.Tag.pointwise in getattr(operation, "tags", ()):
        return _RULES[POINTWISE]
    return None


def shape_of(node: Node) -> tuple[int, ...]:
    """Shape of what a node computes."""
    return tuple(node.meta["val"].shape)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function as the rule of operations, named as ATen names them."""

    def register(function: Rule) -> Rule:
        for name in names:
            _RULES[name if name.startswith("<") else f"aten.{name}"] = function
        return function

    return register


def named(node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of an operation by their names, with those that are left out."""
    operation: Any = node.target
    schema = operation._schema.arguments
    defaults = {argument.name: argument.default_value for argument in schema}
    return defaults | dict(zip(defaults, args, strict=False)) | kwargs


def short_name(node: Node) -> str:
    """Name of an operation without its namespace and overload."""
    return str(node.target).split(".")[1] if "." in str(node.target) else str(node.target)


def unknown(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The rule of operations that have none: nothing moves that they touch."""
    reason = f"the operation {short_name(node)} has no rule"
    for value in tensors_in([*args, *kwargs.values()]):
        tracker.without(value, range(len(value.shape)), reason)
    return bare(node.meta["val"])


def tensors_in(values: Iterable[Any]) -> list[Labels]:
    """All labels among arguments, those in lists included."""
    found: list[Labels] = []
    for value in values:
        if isinstance(value, Labels):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors_in(value)
    return found


def bare(value: Any) -> Any:
    """Labels of a result in which nothing moves."""
    if isinstance(value, torch.Tensor):
        return Labels(tuple(value.shape))
    if isinstance(value, list | tuple):
        return [bare(item) for item in value]
    return None
