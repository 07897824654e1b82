"""Random crops and flips of images in memory, whole batches at a time."""

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from neumeta.core.device import drawn


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
    device = images.device
    mirrored = drawn(torch.rand, count, generator=generator, device=device) < 0.5
    if flip:
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    size = (2, count, 1)
    down, right = drawn(torch.randint, 2 * pad + 1, size, generator=generator, device=device)
    rows = (down + torch.arange(height, device=device))[:, :, None]
    columns = (right + torch.arange(width, device=device))[:, None, :]
    padded = F.pad(images, (pad, pad, pad, pad))
    examples = torch.arange(count, device=device)[:, None, None]
    return padded[examples, :, rows, columns].movedim(3, 1).contiguous()
