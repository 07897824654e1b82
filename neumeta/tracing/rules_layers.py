"""Rules of layers: normalisations, convolutions, products, attention."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from neumeta.tracing.labels import FIXED, Bundle, Labels, tidy
from neumeta.tracing.meeting import apart, meet, tied, whole_last
from neumeta.tracing.tracker import Tracker, bare, named, rule, shape_of, tensors_in, unknown


@rule("native_layer_norm.default")
def _layer_norm(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, normalised = args[0], len(args[1])
    dims = range(len(labels.shape) - normalised, len(labels.shape))
    result = whole_last(tracker, labels, list(dims), "is normalised over")
    for parameter in tensors_in(args[2:4]):
        result = tied(tracker, result, parameter, "normalises a fixed axis")
    return [result, *bare(node.meta["val"][1:])]


@rule(
    "native_batch_norm.default",
    "_native_batch_norm_legit_no_training.default",
    "_native_batch_norm_legit.default",
    "_native_batch_norm_legit.no_stats",
    "cudnn_batch_norm.default",
    "batch_norm.default",
)
def _batch_norm(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels = args[0]
    rest = labels.off([1])
    ids = tracker.alone(labels, 1, "is normalised by channel")
    for parameter in tensors_in(args[1:5]):
        own = tracker.alone(parameter, 0, "normalises a fixed axis")
        ids = tracker.ledger.tie(ids, own, "normalises a fixed axis")
    bundles = () if (ids == FIXED).all() else tidy((1,), ids)
    result = Labels(labels.shape, (*rest, *bundles), labels.even - {1})
    value = node.meta["val"]
    if isinstance(value, torch.Tensor):
        return result
    return [result, *bare(value[1:])]


@rule("native_group_norm.default")
def _group_norm(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, weight, bias, groups = args[0], args[1], args[2], args[6]
    ids = _blocks(tracker, tracker.alone(labels, 1, "is normalised by group"), groups)
    if tracker.level == "channel" and ids.shape[1] > 1:
        tracker.mark(ids)
    ids = ids.reshape(-1)
    for parameter in tensors_in([weight, bias]):
        own = tracker.alone(parameter, 0, "normalises a fixed axis")
        ids = tracker.ledger.tie(ids, own, "normalises a fixed axis")
    result = Labels(labels.shape, (*labels.off([1]), *tidy((1,), ids)))
    return [result, *bare(node.meta["val"][1:])]


def _blocks(tracker: Tracker, ids: np.ndarray, groups: int) -> np.ndarray:
    """Units in equal blocks, shape (groups, size); whole blocks move at level `block`."""
    blocks = ids.reshape(groups, -1)
    if tracker.level == "block" and groups > 1 and blocks.shape[1] > 1:
        blocks = tracker.ledger.tie(blocks[:, :1], blocks, "moves with its block")
        blocks = np.broadcast_to(blocks[:, :1], (groups, blocks.shape[1])).copy()
    return blocks


@rule("convolution.default")
def _convolution(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    inputs, weight, bias = args[:3]
    transposed, groups = args[6], args[8]
    shape = shape_of(node)
    inputs = tracker.without(inputs, range(2, len(inputs.shape)), "is an image")
    weight = tracker.without(weight, range(2, len(weight.shape)), "is a place in a kernel")
    kept = inputs.off([1])
    seen = _blocks(tracker, tracker.alone(inputs, 1, "feeds a convolution"), groups)
    first = tracker.alone(weight, 0, "is an axis of a kernel")
    second = tracker.alone(weight, 1, "is an axis of a kernel")
    if len(second) == 1:  # nothing that could move
        second = np.full(1, tracker.constant())
    reason = "meets a fixed axis in convolution"
    if transposed:  # weight: (in, out / groups, ...)
        seen = tracker.ledger.tie(seen, _blocks(tracker, first, groups), reason)
        made = np.broadcast_to(second, (groups, len(second)))
        whole = tracker.level == "block" or seen.shape[1] == 1  # what is made of an input moves too
        if groups > 1 and whole and len(second) > 1:
            made = np.broadcast_to(seen[:, :1], made.shape)
            tracker.ledger.pin(second, "lies inside a block")
        elif groups > 1 and seen.shape[1] > 1:
            tracker.mark(seen)  # every group of channels has rows of its own
    else:  # weight: (out, in / groups, ...)
        made = _blocks(tracker, first, groups)
        if groups == 1 or tracker.level == "channel":
            # Every group of channels has the same axis of its kernels.
            seen = tracker.ledger.tie(np.broadcast_to(second, seen.shape), seen, reason)
        else:
            tracker.ledger.pin(second, "lies inside a block")
    if groups > 1:
        # Blocks of channels in, blocks of channels out: those of equal number go together.
        if tracker.level == "block" or seen.shape[1] == 1:
            joint = tracker.ledger.tie(seen[:, 0], made[:, 0], reason)
            if tracker.level == "channel" and made.shape[1] > 1:
                made = tracker.ledger.tie(joint[:, None], made, reason)
            else:
                made = np.broadcast_to(joint[:, None], made.shape)
        if tracker.level == "channel" and made.shape[1] > 1:
            tracker.mark(made)
    ids = np.ascontiguousarray(made).reshape(-1)
    if isinstance(bias, Labels):
        ids = tracker.ledger.tie(ids, tracker.alone(bias, 0, reason), reason)
    bundles = tidy((1,), ids) if (ids != FIXED).any() else ()
    return Labels(shape, (*kept, *bundles))


@rule("mm.default", "bmm.default", "matmul.default")
def _matmul(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return _product(tracker, args[0], args[1], shape_of(node))


@rule("addmm.default", "baddbmm.default")
def _addmm(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    shape = shape_of(node)
    product = _product(tracker, args[1], args[2], shape)
    return tied(tracker, product, args[0], "meets a fixed axis in addmm")


@rule(
    "_scaled_dot_product_flash_attention_for_cpu.default",
    "_scaled_dot_product_flash_attention.default",
    "_scaled_dot_product_efficient_attention.default",
    "scaled_dot_product_attention.default",
    "_scaled_dot_product_attention_math.default",
)
def _attention(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    given = named(node, args, kwargs)
    query, key, value = args[:3]
    rank = len(query.shape)
    heads = rank - 3
    if key.shape[heads] != query.shape[heads]:  # heads of keys and values serve several queries
        times = query.shape[heads] // key.shape[heads]
        key, value = (_repeated(labels, heads, times) for labels in (key, value))
    if given.get("is_causal"):
        reason = "is a place in a causal sequence"
        query, key, value = (tracker.without(t, [rank - 2], reason) for t in (query, key, value))
    swapped = _swapped(key, rank)
    scores = _product(tracker, query, swapped, (*query.shape[:-1], key.shape[-2]))
    mask = given.get("attn_mask", given.get("attn_bias"))
    if isinstance(mask, Labels):
        scores = tied(tracker, scores, mask, "meets a fixed axis of a mask")
    result = _product(tracker, scores, value, (*query.shape[:-1], value.shape[-1]))
    made = node.meta["val"]
    if isinstance(made, torch.Tensor):
        return result
    return [result, *bare(made[1:])]


def _repeated(labels: Labels, dim: int, times: int) -> Labels:
    shape = tuple(size * (times if d == dim else 1) for d, size in enumerate(labels.shape))
    bundles = (
        Bundle(b.dims, b.ids.repeat(times, axis=b.dims.index(dim)) if dim in b.dims else b.ids)
        for b in labels.bundles
    )
    return Labels(shape, tuple(bundles), labels.even)


@rule("_grouped_mm.default")
def _grouped_mm(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Rows in groups, each times a matrix of its own, as those of experts."""
    rows, stack = args[:2]
    if len(rows.shape) != 2 or len(stack.shape) != 3:
        return unknown(tracker, node, args, kwargs)
    rows = tracker.without(rows, [0], "goes to an expert")
    stack = tracker.without(stack, [0], "is the number of an expert")
    bundles = tuple(Bundle(tuple(d - 1 for d in b.dims), b.ids) for b in stack.bundles)
    matrix = Labels(stack.shape[1:], bundles, frozenset(d - 1 for d in stack.even if d))
    return _product(tracker, rows, matrix, shape_of(node))


def _swapped(labels: Labels, rank: int) -> Labels:
    order = {rank - 1: rank - 2, rank - 2: rank - 1}
    shape = (*labels.shape[:-2], labels.shape[-1], labels.shape[-2])
    moved = (Bundle(tuple(order.get(d, d) for d in b.dims), b.ids) for b in labels.bundles)
    return Labels(shape, tuple(moved), frozenset(order.get(d, d) for d in labels.even))


def _product(tracker: Tracker, left: Labels, right: Labels, shape: tuple[int, ...]) -> Labels:
    """Tie the summed axis of (..., n, k) and (..., k, m); hand n and m on, with their contexts."""
    reason, rank = "meets a fixed axis in a matrix product", len(shape)
    batch = set(range(rank - 2))
    n, k, m = rank - 2, rank - 1, rank  # dimension numbers of the joint space
    moved = {rank - 2: k, rank - 1: m}
    lefts = (batch | {n, k}) - left.even
    rights = (batch | {k, m}) - {moved.get(dim, dim) for dim in right.even}
    left = Labels((*left.shape, 1), left.bundles)
    right = Labels(
        (*right.shape[:-2], 1, *right.shape[-2:]),
        tuple(Bundle(tuple(moved.get(d, d) for d in b.dims), b.ids) for b in right.bundles),
    )
    joint = meet(tracker, left, lefts, right, rights, reason)
    joint = whole_last(tracker, joint, [k], "is summed over")
    kept = [
        Bundle(tuple(rank - 1 if d == m else d for d in b.dims), b.ids)
        for b in joint.bundles
        if k not in b.dims
    ]
    even = {rank - 1 if dim == m else dim for dim in {*batch, n, m} - lefts - rights}
    bundles = tuple(apart(tracker, kept, "goes through a matrix product"))
    return Labels(shape, bundles, frozenset(d for d in even if shape[d] > 1))
