"""Unlabelled images in batches, on the device, moved and mirrored at random."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from neumeta.core.boundary import called_by_users
from neumeta.core.device import drawn
from neumeta.core.errors import UserError

SHIFT = 8  # images are moved by up to this part of their side


@called_by_users
def batches_of(
    images: Any,
    count: int,
    *,
    size: int,
    device: torch.device,
    augment: bool,
    pairs: bool,
    generator: torch.Generator,
) -> list[Any]:
    """Take some images of a tensor or of a loader.

    Args:
        images: A tensor, shape (n, channels, height, width), or what gives batches one after the
            other: tensors, or tuples whose first tensor holds the images.
        count: Images at the most; of a tensor they are drawn.
        size: Images of a batch, where they come as one tensor.
        device: Where they are needed.
        augment: Whether images are moved by up to an eighth of their side, and half of them
            mirrored; what is no batch of images stays as it is.
        pairs: Whether of a tuple the first is meant, or all of it.
        generator: Draws which images, and how they are moved.

    Returns:
        Batches.

    Raises:
        UserError: If there is no image, or something else.
    """
    if isinstance(images, Tensor):
        if images.ndim < 2:
            raise UserError(f"images are of shape {tuple(images.shape)}; must be (n, channels, …)")
        chosen = torch.randperm(len(images), generator=generator)[:count].sort().values
        found: Iterable[Any] = images[chosen.to(images.device)].split(size) if len(images) else ()
    elif isinstance(images, Iterable) and not isinstance(images, str | bytes):
        found = images
    else:
        raise UserError(
            f"images are a {type(images).__name__}; must be a tensor or a loader of batches"
        )
    made: list[Any] = []
    left = count
    for batch in found:
        if left <= 0:
            break
        if pairs and isinstance(batch, tuple | list):
            batch = batch[0] if len(batch) else None
        have = _length(batch)
        take = min(have, left)
        batch = tree_map(lambda leaf, n=have, m=take: _cut(leaf, n, m), batch)
        made.append(
            tree_map(lambda leaf: _moved(leaf, device, augment, generator), batch),
        )
        left -= take
    if not made:
        raise UserError("there are no images; some hundred are needed, without labels")
    return made


def _length(batch: Any) -> int:
    tensors = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim]
    if not tensors:
        raise UserError(
            f"images come as {type(batch).__name__} without a tensor; must be batches of tensors"
        )
    if not len(tensors[0]):
        raise UserError("a batch of images is empty")
    return len(tensors[0])


def _cut(leaf: Any, have: int, take: int) -> Any:
    if isinstance(leaf, Tensor) and leaf.ndim and len(leaf) == have:
        return leaf[:take]
    return leaf


def _moved(leaf: Any, device: torch.device, augment: bool, generator: torch.Generator) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    leaf = leaf.detach().to(device)
    if augment and leaf.ndim == 4 and leaf.is_floating_point():
        return shifted(leaf, generator)
    return leaf


def shifted(
    images: Float[Tensor, "n c h w"], generator: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Move every image by up to an eighth of its side each way, and mirror half of them.

    What lies outside repeats the edge: of normalised images nobody knows which number is black.

    Args:
        images: Of any range.
        generator: Source of randomness.

    Returns:
        New images of the same shape.
    """
    count, _, height, width = images.shape
    device = images.device
    mirrored = drawn(torch.rand, count, generator=generator, device=device) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    index = []
    for side in (height, width):
        most = side // SHIFT
        moved = drawn(torch.randint, 2 * most + 1, (count,), generator=generator, device=device)
        places = moved[:, None] - most + torch.arange(side, device=device)
        index.append(places.clamp(0, side - 1))
    examples = torch.arange(count, device=device)[:, None, None]
    rows, columns = index[0][:, :, None], index[1][:, None, :]
    return images[examples, :, rows, columns].movedim(3, 1).contiguous()


def first_of(batch: Any, count: int) -> Any:
    """Cut a batch.

    Args:
        batch: Whatever holds tensors.
        count: Examples that stay.

    Returns:
        A batch of that many.
    """
    have = _length(batch)
    return tree_map(lambda leaf: _cut(leaf, have, min(have, count)), batch)
