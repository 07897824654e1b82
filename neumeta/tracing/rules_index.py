"""Rules of look-ups by numbers: the axis that is looked up stays, the others go on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from neumeta.tracing.draws import kind_of_draw
from neumeta.tracing.labels import FIXED, Bundle, Labels, tidy
from neumeta.tracing.meeting import combined, meet, varying_dims
from neumeta.tracing.tracker import (
    DRAW,
    Tracker,
    named,
    rule,
    shape_of,
    tensors_in,
    unknown,
)

_LOOKED_UP = "is looked up"


@rule(
    *(f"{name}.default" for name in ("zeros", "ones", "full", "new_zeros", "new_ones")),
    *(f"{name}.default" for name in ("new_full", "new_empty", "new_empty_strided", "zeros_like")),
    *(f"{name}.default" for name in ("ones_like", "full_like", "empty_like", "empty_strided")),
    *("empty.memory_format", "scalar_tensor.default", "fill.Scalar", "fill.Tensor", "zero.default"),
)
def _even(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """One number everywhere."""
    shape = shape_of(node)
    return Labels(shape, (), frozenset(dim for dim, size in enumerate(shape) if size > 1))


@rule(DRAW)
def _draw(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Numbers drawn for each place alike: any order of them is as good."""
    value = node.meta["val"]
    first = value if isinstance(value, torch.Tensor) else value[0]
    shape = tuple(first.shape)
    every = {dim for dim, size in enumerate(shape) if size > 1}
    if kind_of_draw(node.target) == "free":
        given = Labels(shape, (), frozenset(every))
    else:
        given = combined(
            tracker, tensors_in([*args, *kwargs.values()]), shape, "meets a fixed axis"
        )
    drawn = (Bundle((dim,), tracker.fresh(shape[dim])) for dim in sorted(given.even))
    labels = Labels(shape, (*given.bundles, *drawn))
    return labels if isinstance(value, torch.Tensor) else [labels] * len(value)


@rule("index.Tensor", "_unsafe_index.Tensor")
def _index(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, indices = args[0], args[1]
    if any(index.bundles for index in tensors_in(indices)):
        return unknown(tracker, node, args, kwargs)
    used = [dim for dim, index in enumerate(indices) if index is not None]
    labels = tracker.without(labels, used, _LOOKED_UP)
    shape = shape_of(node)
    added = len(shape) - (len(labels.shape) - len(used))
    together = used == list(range(used[0], used[0] + len(used)))
    return _carried(labels, used, used[0] if together else 0, added, shape)


def _carried(
    labels: Labels, used: Sequence[int], at: int, added: int, shape: tuple[int, ...]
) -> Labels:
    """Labels once looked-up dimensions are replaced by those of indices."""
    kept = [dim for dim in range(len(labels.shape)) if dim not in used]
    moved = {dim: place if place < at else place + added for place, dim in enumerate(kept)}
    bundles = (
        Bundle(tuple(moved[dim] for dim in bundle.dims), bundle.ids) for bundle in labels.bundles
    )
    return Labels(shape, tuple(bundles), frozenset(moved[d] for d in labels.even if d in moved))


@rule("index_select.default")
def _select(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, index = args[0], args[2]
    if index.bundles:
        return unknown(tracker, node, args, kwargs)
    dim = args[1] % len(labels.shape)
    return _carried(tracker.without(labels, [dim], _LOOKED_UP), [dim], dim, 1, shape_of(node))


@rule("embedding.default")
def _embedding(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Rows of a table, which stay; its columns go on."""
    if args[1].bundles:
        return unknown(tracker, node, args, kwargs)
    shape = shape_of(node)
    table = tracker.without(args[0], [0], _LOOKED_UP)
    last = len(shape) - 1
    return Labels(shape, tuple(Bundle((last,), bundle.ids) for bundle in table.bundles))


@rule("gather.default")
def _gather(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Looked up along one dimension; another goes on where the index is the same all along it."""
    labels, index = args[0], args[2]
    dim = args[1] % len(labels.shape)
    other = varying_dims(index, index.shape) - {dim}
    cut = {d for d, size in enumerate(index.shape) if size != labels.shape[d]}
    if index.bundles:
        return unknown(tracker, node, args, kwargs)
    labels = tracker.without(labels, {dim, *other, *cut}, _LOOKED_UP)
    return Labels(shape_of(node), labels.bundles, labels.even - {dim, *other, *cut})


@rule("scatter.src", "scatter.value", "scatter_add.default", "scatter_reduce.two")
def _scatter(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    given = named(node, args, kwargs)
    labels, index, source = args[0], given["index"], given.get("src")
    dim = args[1] % len(labels.shape)
    stay = {dim} | (varying_dims(index, index.shape) - {dim})
    stay |= {d for d, size in enumerate(index.shape) if size != labels.shape[d]}
    if index.bundles:
        return unknown(tracker, node, args, kwargs)
    reason = "is put at places"
    parts = [labels, source] if isinstance(source, Labels) else [labels]
    if any(
        d not in stay and p.shape[d] != labels.shape[d] for p in parts for d in range(len(p.shape))
    ):
        return unknown(tracker, node, args, kwargs)
    return _joined(tracker, [tracker.without(p, stay, reason) for p in parts], stay, labels.shape)


@rule("index_add.default", "index_copy.default")
def _index_add(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, index, source = args[0], args[2], args[3]
    if index.bundles:
        return unknown(tracker, node, args, kwargs)
    dim = args[1] % len(labels.shape)
    parts = [tracker.without(part, [dim], "is put at places") for part in (labels, source)]
    return _joined(tracker, parts, {dim}, labels.shape)


@rule("index_put.default", "_unsafe_index_put.default")
def _index_put(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, indices, values = args[:3]
    used = [dim for dim, index in enumerate(indices) if index is not None]
    if used != list(range(len(used))) or any(index.bundles for index in tensors_in(indices)):
        return unknown(tracker, node, args, kwargs)
    rest = len(labels.shape) - len(used)
    labels = tracker.without(labels, used, "is put at places")
    own = range(len(values.shape) - rest)
    values = tracker.without(values, own, "is put at places")
    shift = len(used) - max(len(own), 0)
    moved = tuple(Bundle(tuple(d + shift for d in b.dims), b.ids) for b in values.bundles)
    even = frozenset(dim + shift for dim in values.even if dim not in own)
    return _joined(tracker, [labels, Labels(labels.shape, moved, even)], set(used), labels.shape)


@rule("slice_scatter.default")
def _slice_scatter(
    tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """Some places of one dimension come from another tensor."""
    given = named(node, args, kwargs)
    labels, source, dim = args[0], args[1], given["dim"] % len(args[0].shape)
    places = torch.arange(labels.shape[dim])[given["start"] : given["end"] : given["step"]].numpy()
    ids = np.array(tracker.alone(labels, dim, "is joined with others"))
    ids[places] = tracker.alone(source, dim, "is joined with others")
    parts = [Labels(labels.shape, part.off([dim]), part.even) for part in (labels, source)]
    joined = _joined(tracker, parts, {dim}, labels.shape)
    bundles = () if (ids == FIXED).all() else tidy((dim,), ids)
    return Labels(labels.shape, (*joined.bundles, *bundles), joined.even)


def _joined(
    tracker: Tracker, parts: Sequence[Labels], stay: set[int], shape: tuple[int, ...]
) -> Labels:
    """Tensors side by side along dimensions that stay, tied along the others."""
    others = {dim for dim, size in enumerate(shape) if size > 1} - stay
    result = Labels(shape, parts[0].bundles)
    varying = others - parts[0].even
    for part in parts[1:]:
        own = others - part.even
        whole = Labels(shape, part.bundles)
        result = meet(tracker, result, varying, whole, own, "is joined with a fixed axis")
        varying |= own
    return Labels(shape, result.bundles, frozenset(others - varying))


@rule("copy.default")
def _copy(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Everything comes from the second tensor."""
    return combined(tracker, [args[1]], shape_of(node), "is copied")
