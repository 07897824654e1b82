"""Where tensors meet place by place: what is tied, and what cannot move."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from neumeta.tracing.labels import Bundle, Labels, tidy
from neumeta.tracing.tracker import (
    POINTWISE,
    Tracker,
    rule,
    shape_of,
    short_name,
    tensors_in,
    unknown,
)


@rule(
    POINTWISE,
    *(f"{name}.default" for name in ("alias", "clone", "lift_fresh_copy", "detach", "_to_copy")),
    *(f"{name}.default" for name in ("_prelu_kernel", "complex", "_conj", "resolve_conj")),
    *(f"{name}.default" for name in ("resolve_neg", "real", "imag", "contiguous", "polar")),
    *("rsub.Scalar", "rsub.Tensor", "rrelu_with_noise.default"),
)
def elementwise(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Tie operands place by place; also for one operand that keeps its shape."""
    if not isinstance(node.meta["val"], torch.Tensor):
        return unknown(tracker, node, args, kwargs)
    reason = f"meets a fixed axis in {short_name(node)}"
    return combined(tracker, tensors_in([*args, *kwargs.values()]), shape_of(node), reason)


def combined(
    tracker: Tracker, operands: Sequence[Labels], shape: tuple[int, ...], reason: str
) -> Labels:
    """Tie tensors place by place that are broadcast to one shape."""
    result, varying = Labels(shape), set[int]()
    for index, operand in enumerate(operands):
        whole, own = stretched(operand, shape), varying_dims(operand, shape)
        result = meet(tracker, result, varying, whole, own, reason) if index else whole
        varying |= own
    every = {dim for dim, size in enumerate(shape) if size > 1}
    return Labels(shape, result.bundles, frozenset(every - varying))


def varying_dims(labels: Labels, shape: Sequence[int]) -> set[int]:
    """Dimensions of the result along which an operand has more than one number."""
    lead = len(shape) - len(labels.shape)
    varying = {dim for dim, size in enumerate(labels.shape) if size > 1} - labels.even
    return {lead + dim for dim in varying}


def stretched(labels: Labels, shape: Sequence[int]) -> Labels:
    """Labels of an operand that is broadcast to a shape."""
    lead = len(shape) - len(labels.shape)
    bundles = (Bundle(tuple(lead + dim for dim in b.dims), b.ids) for b in labels.bundles)
    every = {dim for dim, size in enumerate(shape) if size > 1}
    even = frozenset(every - varying_dims(labels, shape))
    return Labels(tuple(shape), tuple(bundles), even)


def meet(
    tracker: Tracker,
    first: Labels,
    first_varying: set[int],
    second: Labels,
    second_varying: set[int],
    reason: str,
) -> Labels:
    """Tie two tensors of one shape; a dimension in which one is broadcast ties nothing."""
    ones = _unfixed(tracker, first, second, second_varying, reason)
    others = _unfixed(tracker, second, first, first_varying, reason)
    result: list[Bundle] = []
    for one in ones:
        same = [other for other in others if other.dims[-1] == one.dims[-1]]
        if not same:
            result.append(one)
            continue
        others.remove(same[0])
        contexts = sorted(set(one.dims[:-1]) | set(same[0].dims[:-1]))
        dims = (*contexts, one.dims[-1])
        ids = tracker.ledger.tie(aligned(one, dims), aligned(same[0], dims), reason)
        result += tidy(dims, ids)
    return Labels(first.shape, tuple(apart(tracker, [*result, *others], reason)))


def _unfixed(
    tracker: Tracker, labels: Labels, other: Labels, varying: set[int], reason: str
) -> list[Bundle]:
    """Its bundles whose moving places do not meet fixed ones of another tensor."""
    kept = []
    for bundle in labels.bundles:
        last = bundle.dims[-1]
        facing = [b for b in other.bundles if last in b.dims]
        if last in varying and not any(b.dims[-1] == last for b in facing):
            tracker.ledger.pin(bundle.ids, reason)
        else:
            kept.append(bundle)
    return kept


def apart(tracker: Tracker, bundles: Sequence[Bundle], reason: str) -> list[Bundle]:
    """No dimension in two bundles: of those that share one, the later is fixed."""
    kept: list[Bundle] = []
    for bundle in bundles:
        if any(set(bundle.dims) & set(other.dims) for other in kept):
            tracker.ledger.pin(bundle.ids, f"{reason}, where another axis moves")
        else:
            kept.append(bundle)
    return kept


def aligned(bundle: Bundle, dims: Sequence[int]) -> np.ndarray:
    """Its units with one axis for each of these dimensions, in their order."""
    order = sorted(range(len(bundle.dims)), key=lambda axis: dims.index(bundle.dims[axis]))
    ids = bundle.ids.transpose(order)
    missing = [axis for axis, dim in enumerate(dims) if dim not in bundle.dims]
    return np.expand_dims(ids, tuple(missing))


def tied(tracker: Tracker, labels: Labels, parameter: Labels, reason: str) -> Labels:
    """Tie a tensor with a parameter that is broadcast to its shape."""
    return combined(tracker, [labels, parameter], labels.shape, reason)


def whole_last(tracker: Tracker, labels: Labels, dims: Sequence[int], reason: str) -> Labels:
    """Units when something is taken over dimensions: it must not mix places that move apart."""
    bundles = list(labels.off(dims))
    for bundle in labels.on(dims):
        last = bundle.dims[-1]
        if last in dims:
            bundles.append(bundle)
        else:
            kept = [dim for dim in bundle.dims if dim not in dims]
            bundles += tidy(kept, tracker.ledger.release(bundle, kept, reason))
    return Labels(labels.shape, tuple(bundles), labels.even)
