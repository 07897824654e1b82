"""Rules of operations that go over dimensions: sums, extremes, sequences."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.fx import Node

from neumeta.tracing.labels import Bundle, Labels
from neumeta.tracing.meeting import combined, whole_last
from neumeta.tracing.tracker import Tracker, bare, named, rule, short_name, tensors_in


@rule(
    *(f"{name}.dim" for name in ("mean", "any", "all", "median", "nanmedian", "max", "min")),
    *(f"{name}.dims" for name in ("any", "all")),
    *(f"{name}.default" for name in ("mean", "prod", "any", "all", "max", "min")),
    *(f"{name}.default" for name in ("amax", "amin", "aminmax", "logsumexp", "argmax", "argmin")),
    *(f"{name}.correction" for name in ("var", "std", "var_mean", "std_mean")),
    *("sum.dim_IntList", "prod.dim_int", "norm.ScalarOpt_dim", "norm.Scalar"),
    *("_is_all_true.default", "_is_any_true.default", "sum.default"),
    *("linalg_vector_norm.default", "count_nonzero.dim_IntList", "count_nonzero.default"),
)
def _reduce(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Sums do not ask for the order of what they sum; places of an extreme do."""
    rank, given = len(args[0].shape), named(node, args, kwargs).get("dim")
    dims = [given % rank] if isinstance(given, int) else [dim % rank for dim in given or ()]
    dims = dims or list(range(rank))
    labels, value = args[0], node.meta["val"]
    if _places_are_used(node):
        labels = tracker.without(labels, dims, f"has its places counted by {short_name(node)}")
    shapes = [value.shape] if isinstance(value, torch.Tensor) else [item.shape for item in value]
    results = [reduced(tracker, labels, dims, tuple(shape)) for shape in shapes]
    return results[0] if isinstance(value, torch.Tensor) else results


def _places_are_used(node: Node) -> bool:
    """Whether the result tells where an extreme is."""
    if short_name(node) in ("argmax", "argmin"):
        return True
    values = node.meta["val"]
    if isinstance(values, torch.Tensor) or short_name(node) in ("var_mean", "std_mean", "aminmax"):
        return False
    return any(user.args[1:] == (1,) and user.users for user in node.users)


def reduced(
    tracker: Tracker, labels: Labels, dims: Sequence[int], shape: tuple[int, ...]
) -> Labels:
    """Labels once some dimensions are summed over, and left out or of size one."""
    labels = whole_last(tracker, labels, dims, "is summed over")
    kept = [dim for dim in range(len(labels.shape)) if dim not in dims]
    moved = {dim: dim if len(shape) == len(labels.shape) else kept.index(dim) for dim in kept}
    bundles = [
        Bundle(tuple(moved[dim] for dim in bundle.dims), bundle.ids)
        for bundle in labels.bundles
        if not set(bundle.dims) & set(dims)
    ]
    return Labels(shape, tuple(bundles), frozenset(moved[d] for d in labels.even if d in moved))


@rule("_softmax.default", "_log_softmax.default", "_safe_softmax.default")
def _softmax(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return whole_last(tracker, args[0], [args[1] % len(args[0].shape)], "is normalised over")


@rule(
    *(f"{name}.default" for name in ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")),
    *(f"{name}.default" for name in ("sort", "topk", "argsort", "_fft_r2c", "_fft_c2r")),
    *("sort.stable", "argsort.stable", "_fft_c2c.default", "kthvalue.default", "mode.default"),
)
def _in_order(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What goes through a dimension in its order, alike at all places of the others."""
    labels, rank = args[0], len(args[0].shape)
    given = named(node, args, kwargs)["dim"]
    dims = {dim % rank for dim in ([given] if isinstance(given, int) else given or range(rank))}
    labels = tracker.without(labels, dims, f"is in the order of {short_name(node)}")
    value = node.meta["val"]

    def alike(shape: Iterable[int]) -> Labels:
        shape = tuple(shape)
        if len(shape) != rank:  # the dimension is gone
            return reduced(tracker, labels, sorted(dims), shape)
        return Labels(shape, labels.bundles, labels.even - dims)

    if isinstance(value, torch.Tensor):
        return alike(value.shape)
    return [alike(item.shape) for item in value]


@rule("_weight_norm_interface.default")
def _weight_norm(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A direction of unit length times a length, for each place of one dimension."""
    direction, length = args[:2]
    dim = named(node, args, kwargs)["dim"] % len(direction.shape)
    others = [other for other in range(len(direction.shape)) if other != dim]
    norms = reduced(tracker, direction, others, length.shape)
    lengths = combined(tracker, [length, norms], length.shape, "meets a fixed length")
    whole = combined(tracker, [direction, lengths], direction.shape, "meets a fixed length")
    return [whole, norms]


@rule("_trilinear.default")
def _trilinear(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Three tensors with dimensions put in are multiplied, then summed over some."""
    parts = [_put_in(labels, dims) for labels, dims in zip(args[:3], args[3:6], strict=True)]
    shape = tuple(max(sizes) for sizes in zip(*(part.shape for part in parts), strict=True))
    joint = combined(tracker, parts, shape, "meets a fixed axis in a product of three")
    return reduced(tracker, joint, list(args[6]), tuple(node.meta["val"].shape))


def _put_in(labels: Labels, dims: Sequence[int]) -> Labels:
    rank = len(labels.shape) + len(dims)
    kept = [dim for dim in range(rank) if dim not in dims]
    shape = [1] * rank
    for dim, size in zip(kept, labels.shape, strict=True):
        shape[dim] = size
    bundles = (Bundle(tuple(kept[dim] for dim in b.dims), b.ids) for b in labels.bundles)
    return Labels(tuple(shape), tuple(bundles), frozenset(kept[dim] for dim in labels.even))


@rule("_embedding_bag_forward_only.default", "_embedding_bag.default")
def _bag(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Sums of rows of a table, which stay; its columns go on."""
    table = tracker.without(args[0], [0], "is looked up")
    for other in tensors_in([*args[1:], *kwargs.values()]):
        tracker.without(other, range(len(other.shape)), "says what is looked up")
    value = node.meta["val"]
    return [Labels(tuple(value[0].shape), table.bundles), *bare(value[1:])]
