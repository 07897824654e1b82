"""From raw pixels to what a network takes: one normalisation, and a check for what users bring."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError


def normalise(
    images: Tensor, pixel_max: int, mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "n c h w"]:
    """Turn raw pixels into network inputs.

    Args:
        images: Pixels in 0..pixel_max, shape (n, channels, height, width); any numeric type.
        pixel_max: Largest possible pixel value.
        mean: Per channel, of pixels divided by pixel_max.
        std: Per channel, likewise.

    Returns:
        Float32 of the same shape.
    """
    middle = torch.tensor(mean, device=images.device).view(1, -1, 1, 1)
    spread = torch.tensor(std, device=images.device).view(1, -1, 1, 1)
    return (images.float() / pixel_max - middle) / spread


@called_by_users
def preprocessed(images: Tensor, spec: Mapping[str, Any]) -> Float[Tensor, "n c h w"]:
    """Normalise raw images of a user, if they are what the network was trained on.

    Args:
        images: Pixels; any numeric type.
        spec: What the network takes, see `Dataset.input_spec`.

    Returns:
        Float32 of the same shape.

    Raises:
        UserError: If these are no such images: of another shape or range, or no numbers.
    """
    check_images(images, spec)
    return normalise(images, spec["pixel_max"], spec["mean"], spec["std"])


@called_by_users
def check_images(images: Tensor, spec: Mapping[str, Any]) -> None:
    """Refuse what cannot be raw images of a data set; warn of what hardly can.

    Args:
        images: Pixels; any numeric type.
        spec: What the network takes, see `Dataset.input_spec`.

    Raises:
        UserError: Naming what was found, and what is expected.
    """
    shape, most = tuple(spec["image_shape"]), spec["pixel_max"]
    if not isinstance(images, Tensor):
        raise UserError(f"images are a {type(images).__name__}; must be a torch tensor")
    _check_shape(tuple(images.shape), shape)
    if images.is_complex() or images.dtype == torch.bool:
        raise UserError(f"images are {images.dtype}; must be pixels, numbers of 0 to {most}")
    if images.is_meta or not images.numel():
        return
    low, high = images.min().item(), images.max().item()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"images hold NaN or infinity; pixels are numbers of 0 to {most}")
    found = f"pixels lie in {low:.4g} to {high:.4g}; must be raw, 0 to {most}"
    if low < 0:
        raise UserError(f"{found}; are these normalised already? Then give them to the network")
    if high > most:
        raise UserError(f"{found}; multiply by {most} / (the largest possible value of yours)")
    if 0 < high <= 1 < most:
        if images.is_floating_point():
            raise UserError(f"{found}; multiply images of 0 to 1 by {most}")
        warnings.warn(f"{found}; were these images of 0 to 1?", stacklevel=3)


def _check_shape(found: tuple[int, ...], image: tuple[int, ...]) -> None:
    wanted = f"(n, {', '.join(map(str, image))})"
    text = f"images are of shape {found}; must be {wanted}: n, channels, height, width"
    channels, height, width = image
    if found == image:
        raise UserError(f"{text}; for a single image give image[None]")
    if len(found) == 4 and found[1:] == image:
        return
    if found[1:] == (height, width, channels):
        raise UserError(f"{text}; channels come first: images.permute(0, 3, 1, 2)")
    if found == (height, width, channels):
        raise UserError(f"{text}; for a single image give image.permute(2, 0, 1)[None]")
    if channels == 1 and found[1:] == (height, width) and len(found) == 3:
        raise UserError(f"{text}; add the axis of channels: images[:, None]")
    raise UserError(text)
