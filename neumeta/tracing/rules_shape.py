"""Rules of operations that move, cut, join or repeat places."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from neumeta.tracing.labels import FIXED, Bundle, Labels, tidy
from neumeta.tracing.meeting import aligned, apart, meet, stretched
from neumeta.tracing.tracker import Tracker, bare, rule, shape_of, short_name, tensors_in, unknown


@rule("<built-in function getitem>")
def _getitem(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return args[0][args[1]]


@rule("arange.default", "arange.start", "arange.start_step", "linspace.default", "eye.default")
def _fresh(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return bare(node.meta["val"])


@rule(
    "view.default",
    "_unsafe_view.default",
    "reshape.default",
    "squeeze.dim",
    "squeeze.dims",
    "squeeze.default",
    "unsqueeze.default",
)
def _view(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, shape = args[0], shape_of(node)
    result: list[Bundle] = []
    even = frozenset(
        dim
        for before, after in _factors(labels.shape, shape)
        if {d for d in before if labels.shape[d] > 1} <= labels.even
        for dim in after
    )
    for bundle in labels.bundles:
        dims, ids = list(bundle.dims), bundle.ids
        pieces = _factors(labels.shape, shape)
        pieces.sort(key=lambda piece: bundle.dims[-1] in piece[0])  # what moves comes last
        for before, after in pieces:
            inside = [d for d in before if d in dims]
            if not inside:
                continue
            # Spread over all dimensions that are merged, then cut into those that come out.
            order = [*(d for d in dims if d not in before), *before]
            ids = aligned(Bundle(tuple(dims), ids), order)
            kept = [d for d in order if d not in before]
            sizes = [
                labels.shape[d] if d in before else s for d, s in zip(order, ids.shape, strict=True)
            ]
            ids = np.broadcast_to(ids, sizes).reshape(
                *ids.shape[: len(kept)], *(shape[d] for d in after)
            )
            dims = [*kept, *(-1 - d for d in after)]  # below zero: of the result
        found = tidy([-1 - d for d in dims], ids)
        for new in found:
            result += tracker.split(new) if len(new.dims) > len(bundle.dims) else (new,)
    return Labels(shape, tuple(apart(tracker, result, "two axes become one")), even)


def _factors(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Cut two shapes of one number of elements into the smallest pieces of equal products."""
    pieces, i, j = [], 0, 0
    while i < len(before) or j < len(after):
        left, right = [i] if i < len(before) else [], [j] if j < len(after) else []
        i, j = i + len(left), j + len(right)
        while prod(before[d] for d in left) != prod(after[d] for d in right):
            if prod(before[d] for d in left) < prod(after[d] for d in right):
                left.append(i)
                i += 1
            else:
                right.append(j)
                j += 1
        while i < len(before) and before[i] == 1 and j >= len(after):
            left.append(i)
            i += 1
        while j < len(after) and after[j] == 1 and i >= len(before):
            right.append(j)
            j += 1
        pieces.append((left, right))
    return pieces


@rule("permute.default", "transpose.int", "t.default")
def _permute(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, rank = args[0], len(args[0].shape)
    if len(args) == 1:
        order = list(range(rank))[::-1]
    elif len(args) == 2:
        order = [dim % rank for dim in args[1]]
    else:
        order = list(range(rank))
        one, other = args[1] % rank, args[2] % rank
        order[one], order[other] = other, one
    moved = (Bundle(tuple(order.index(dim) for dim in b.dims), b.ids) for b in labels.bundles)
    return Labels(shape_of(node), tuple(moved), frozenset(map(order.index, labels.even)))


@rule("expand.default", "repeat.default")
def _expand(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, shape = stretched(args[0], shape_of(node)), shape_of(node)
    bundles: list[Bundle] = []
    for bundle in labels.bundles:
        counts = [
            shape[dim] // size for dim, size in zip(bundle.dims, bundle.ids.shape, strict=True)
        ]
        bundles += tidy(bundle.dims, np.tile(bundle.ids, counts))
    return Labels(shape, tuple(bundles), labels.even)


@rule(
    *("slice.Tensor", "select.int", "unbind.int", "chunk.default", "narrow.default"),
    *(f"{start}split{form}" for start in ("", "unsafe_") for form in (".Tensor",)),
    *(f"{start}split_with_sizes.default" for start in ("", "unsafe_")),
)
def _part(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Take places of one dimension, by doing the same to their numbers."""
    labels = args[0]
    position = {"slice": 1, "select": 1, "unbind": 1, "narrow": 1}.get(short_name(node), 2)
    dim = (args[position] if len(args) > position else kwargs.get("dim", 0)) % len(labels.shape)
    places = torch.arange(labels.shape[dim]).reshape(
        [-1 if d == dim else 1 for d in range(len(labels.shape))]
    )
    operation: Any = node.target
    taken = operation(places, *args[1:], **kwargs)
    if isinstance(taken, torch.Tensor):
        return _taken(tracker, labels, dim, taken.flatten().numpy(), shape_of(node))
    shapes = [tuple(value.shape) for value in node.meta["val"]]
    return [
        _taken(tracker, labels, dim, part.flatten().numpy(), shape)
        for part, shape in zip(taken, shapes, strict=True)
    ]


@rule("glu.default")
def _glu(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The first half of an axis, gated by the second."""
    labels, shape = args[0], shape_of(node)
    dim = (args[1] if len(args) > 1 else -1) % len(shape)
    places = np.arange(labels.shape[dim])
    halves = [_taken(tracker, labels, dim, half, shape) for half in np.split(places, 2)]
    every = {number for number, size in enumerate(shape) if size > 1}
    return meet(tracker, halves[0], every, halves[1], every, "meets a fixed axis in glu")


@rule("channel_shuffle.default")
def _channel_shuffle(
    tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    places = np.arange(args[0].shape[1]).reshape(args[1], -1).T.flatten()
    return _taken(tracker, args[0], 1, places, shape_of(node))


def _taken(
    tracker: Tracker, labels: Labels, dim: int, places: np.ndarray, shape: tuple[int, ...]
) -> Labels:
    removed = len(shape) < len(labels.shape)
    bundles: list[Bundle] = []
    for bundle in labels.bundles:
        dims, ids = list(bundle.dims), bundle.ids
        if dim in dims:
            axis = dims.index(dim)
            ids = ids.take(places, axis=axis)
            if len(places) == 1 and len(dims) == 1:  # one of many is chosen: it is like no other
                tracker.mark(ids)
                continue
            if removed:
                ids = ids.take(0, axis=axis)
                dims.pop(axis)
        dims = [d - (removed and d > dim) for d in dims]
        bundles += tidy(dims, ids)
    kept = labels.even - {dim} if removed or len(places) == 1 else labels.even
    even = frozenset(d - (removed and d > dim) for d in kept)
    return Labels(shape, tuple(bundles), even)


@rule("cat.default")
def _cat(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    parts, shape = tensors_in([args[0]]), shape_of(node)
    dim = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % len(shape)
    ids = [tracker.alone(part, dim, "is joined with others") for part in parts]
    others = set(range(len(shape))) - {dim}
    rest, varying = Labels(shape, parts[0].off([dim])), others - parts[0].even
    for part in parts[1:]:
        own = Labels(shape, part.off([dim]))
        fixed = others - part.even
        rest = meet(tracker, rest, varying, own, fixed, "is joined with a fixed axis")
        varying |= fixed
    joined = np.concatenate(ids)
    even = frozenset(d for d in others - varying if shape[d] > 1)
    if (joined == FIXED).all():
        return Labels(shape, rest.bundles, even)
    return Labels(shape, (*rest.bundles, *tidy((dim,), joined)), even)


@rule("constant_pad_nd.default")
def _pad(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, widths = args[0], list(args[1])
    rank = len(labels.shape)
    bundles: list[Bundle] = []
    label = tracker.constant()
    for bundle in labels.bundles:
        sides = []
        for dim in bundle.dims:
            place = 2 * (rank - 1 - dim)
            sides.append((widths[place], widths[place + 1]) if place < len(widths) else (0, 0))
        if min(min(side) for side in sides) < 0:  # a crop
            return unknown(tracker, node, args, kwargs)
        bundles += tidy(bundle.dims, np.pad(bundle.ids, sides, constant_values=label))
    padded = {rank - 1 - place // 2 for place, width in enumerate(widths) if width}
    return Labels(shape_of(node), tuple(bundles), labels.even - padded)


@rule("roll.default", "flip.default")
def _roll(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels = args[0]
    moves = dict(zip(args[-1], args[1], strict=True)) if len(args) > 2 else dict.fromkeys(args[1])
    bundles = []
    for bundle in labels.bundles:
        ids = bundle.ids
        for dim, shift in moves.items():
            if dim % len(labels.shape) in bundle.dims:
                axis = bundle.dims.index(dim % len(labels.shape))
                ids = np.flip(ids, axis) if shift is None else np.roll(ids, shift, axis)
        bundles.append(Bundle(bundle.dims, ids))
    return Labels(shape_of(node), tuple(bundles), labels.even)


@rule("as_strided_.default", "as_strided.default")
def _strided(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Another layout of the same tensor changes nothing; another order is not followed."""
    source = node.args[0]
    assert isinstance(source, Node)
    value, made = source.meta["val"], node.meta["val"]
    places = torch.arange(prod(value.shape)).as_strided(value.shape, value.stride())
    same = value.shape == made.shape and torch.equal(
        places, places.as_strided(made.shape, made.stride())
    )
    return args[0] if same else unknown(tracker, node, args, kwargs)
