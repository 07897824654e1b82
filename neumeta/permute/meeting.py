"""Where tensors meet place by place: what is tied, and what cannot move."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.fx import Node

from neumeta.permute.labels import Bundle, Labels, tidy
from neumeta.permute.tracker import Tracker, rule, shape_of, short_name, tensors_in


@rule(
    *(f"{name}.default" for name in ("relu", "silu", "gelu", "sigmoid", "tanh", "hardtanh")),
    *(f"{name}.default" for name in ("hardswish", "hardsigmoid", "leaky_relu", "elu", "mish")),
    *(f"{name}.default" for name in ("softplus", "exp", "log", "sqrt", "rsqrt", "neg", "abs")),
    *(f"{name}.default" for name in ("alias", "clone", "lift_fresh_copy", "detach", "sign", "erf")),
    *(f"{name}.default" for name in ("sin", "cos", "reciprocal", "square", "log1p", "expm1")),
    *("_to_copy.default", "clamp.default", "clamp_min.default", "clamp_max.default"),
    *("fill.Scalar", "masked_fill.Scalar", "pow.Tensor_Scalar", "native_dropout.default"),
    *(f"{name}.Scalar" for name in ("add", "sub", "mul", "div", "eq", "ne", "gt", "lt", "rsub")),
    *(f"{name}.Tensor" for name in ("add", "sub", "mul", "div", "maximum", "minimum", "fill")),
    *("maximum.default", "minimum.default", "where.self", "_prelu_kernel.default", "pow.Scalar"),
    *("eq.Tensor", "ne.Tensor", "gt.Tensor", "lt.Tensor", "rsub.Tensor", "atan2.default"),
)
def elementwise(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Tie operands place by place; also for one operand that keeps its shape."""
    shape, reason = shape_of(node), f"meets a fixed axis in {short_name(node)}"
    result, varying = Labels(shape), set[int]()
    for index, operand in enumerate(tensors_in([*args, *kwargs.values()])):
        whole, own = stretched(operand, shape), varying_dims(operand, shape)
        result = meet(tracker, result, varying, whole, own, reason) if index else whole
        varying |= own
    return result


def varying_dims(labels: Labels, shape: Sequence[int]) -> set[int]:
    """Dimensions of the result along which an operand is not broadcast."""
    lead = len(shape) - len(labels.shape)
    return {lead + dim for dim, size in enumerate(labels.shape) if size > 1}


def stretched(labels: Labels, shape: Sequence[int]) -> Labels:
    """Labels of an operand that is broadcast to a shape."""
    lead = len(shape) - len(labels.shape)
    bundles = (Bundle(tuple(lead + dim for dim in b.dims), b.ids) for b in labels.bundles)
    return Labels(tuple(shape), tuple(bundles))


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
    own = varying_dims(parameter, labels.shape)
    every = {dim for dim, size in enumerate(labels.shape) if size > 1}
    return meet(tracker, labels, every, stretched(parameter, labels.shape), own, reason)


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
    return Labels(labels.shape, tuple(bundles))
