"""Rules of operations on images, volumes and signals: their channels go on, their places stay."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from neumeta.tracing.labels import Bundle, Labels, tidy
from neumeta.tracing.meeting import combined
from neumeta.tracing.tracker import Tracker, rule, shape_of, short_name

_UPSAMPLED = (
    *(f"{kind}{n}d" for kind in ("upsample_nearest", "_upsample_nearest_exact") for n in (1, 2, 3)),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "_upsample_lanczos2d_aa"),
)


@rule(
    *(f"max_pool{n}d_with_indices.default" for n in (2, 3)),
    *(f"avg_pool{n}d.default" for n in (1, 2, 3)),
    *(f"adaptive_max_pool{n}d.default" for n in (2, 3)),
    *(f"{start}adaptive_avg_pool{n}d.default" for start in ("", "_") for n in (1, 2, 3)),
    *(f"fractional_max_pool{n}d.default" for n in (2, 3)),
    *(f"{kind}_pad{n}d.default" for kind in ("reflection", "replication") for n in (1, 2, 3)),
    *(f"{name}.{form}" for name in _UPSAMPLED for form in ("default", "vec")),
)
def _spatial(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    labels, rank = args[0], len(args[0].shape)
    found = re.search(r"(\d)d", short_name(node))
    places = range(rank - int(found[1] if found else 2), rank)
    return _kept(tracker, node, labels, places)


def _kept(tracker: Tracker, node: Node, labels: Labels, places: Sequence[int]) -> Any:
    labels = tracker.without(labels, places, "is an image")
    value, even = node.meta["val"], labels.even - set(places)
    if isinstance(value, torch.Tensor):
        return Labels(tuple(value.shape), labels.bundles, even)
    return [Labels(tuple(item.shape), labels.bundles, even) for item in value]


@rule(*(f"max_unpool{n}d.default" for n in (2, 3)))
def _unpool(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Back to the places that a pooling took its values from."""
    joint = combined(tracker, args[:2], args[0].shape, "meets a fixed axis in max_unpool")
    rank = len(joint.shape)
    found = re.search(r"(\d)d", short_name(node))
    return _kept(tracker, node, joint, range(rank - int(found[1] if found else 2), rank))


@rule("grid_sampler_2d.default", "grid_sampler_3d.default")
def _sampled(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    grid = args[1]
    tracker.without(grid, range(len(grid.shape)), "says where an image is sampled")
    return _kept(tracker, node, args[0], range(2, len(args[0].shape)))


@rule("pixel_shuffle.default", "col2im.default")
def _gathered(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Several channels become one, each for places of its own."""
    labels, shape = args[0], shape_of(node)
    channel = len(shape) - 3
    labels = tracker.without(labels, range(channel + 1, len(labels.shape)), "is an image")
    ids = tracker.alone(labels, channel, "makes places of an image")
    blocks = Bundle((channel, channel + 1), ids.reshape(shape[channel], -1))
    units = tracker.ledger.release(blocks, [channel], "makes places of an image")
    return Labels(shape, (*labels.off([channel]), *tidy((channel,), units)))


@rule("pixel_unshuffle.default", "im2col.default")
def _spread(tracker: Tracker, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """One channel becomes several, each with places of its own."""
    labels, shape = args[0], shape_of(node)
    channel = len(labels.shape) - 3
    labels = tracker.without(labels, range(channel + 1, len(labels.shape)), "is an image")
    ids = tracker.alone(labels, channel, "has its places made channels")
    ids = np.repeat(ids, shape[channel] // len(ids))
    return Labels(shape, (*labels.off([channel]), *tidy((channel,), ids)))
