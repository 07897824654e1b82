"""Random crops and flips of images in memory, whole batches at a time."""

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor


def crop_and_flip(
    images: UInt8[Tensor, "n c h w"], *, pad: int, flip: bool, generator: torch.Generator
) -> UInt8[Tensor, "n c h w"]:
    """Shift every image by up to `pad` pixels each way, with zeros outside, and mirror half.

    Args:
        images: Pixels, shape (n, channels, height, width).
        pad: Largest shift, pixels.
        flip: Whether each image is mirrored with probability 0.5.
        generator: Source of randomness.

    Returns:
        New images of the same shape.
    """
    count, _, height, width = images.shape
    mirrored = torch.rand(count, generator=generator) < 0.5
    if flip:
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    down, right = torch.randint(2 * pad + 1, (2, count, 1), generator=generator)
    rows = (down + torch.arange(height))[:, :, None]
    columns = (right + torch.arange(width))[:, None, :]
    padded = F.pad(images, (pad, pad, pad, pad))
    examples = torch.arange(count)[:, None, None]
    return padded[examples, :, rows, columns].movedim(3, 1).contiguous()
