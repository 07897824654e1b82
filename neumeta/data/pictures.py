"""Unlabelled pictures from a folder of any layout, for what learns nothing from labels."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.data.entries import first_line, listed, shown
from neumeta.data.images import decode


def read_pictures(
    root: str | Path,
    *,
    side: int,
    channels: int,
    count: int,
    generator: torch.Generator,
) -> UInt8[Tensor, "n c h w"]:
    """Read some pictures, wherever they lie below a folder or in a zip.

    Args:
        root: The folder or zip.
        side: To which square they are resized, pixels.
        channels: 1 or 3; gray pictures become three equal channels.
        count: Pictures at the most; of more they are drawn.
        generator: Draws them.

    Returns:
        Pixels of 0 to 255, shape (n, channels, side, side).

    Raises:
        UserError: If there are none, or one cannot be read or is in colour where gray is wanted.
    """
    place = Path(root)
    if not str(root) or not place.exists():
        raise UserError(f"{shown(root)}: no such folder or zip of images")
    made: list[np.ndarray] = []
    with listed(place) as found:
        images = sorted(found.images, key=lambda entry: str(entry.place))
        if not images:
            raise UserError(f"{shown(root)}: holds no images ({found.tally.text()})")
        chosen = torch.randperm(len(images), generator=generator)[:count].sort().values
        for number in chosen.tolist():
            entry = images[number]
            try:
                pixels = decode(entry.read(), side)
            except Exception as error:  # decoders raise whatever they stumble over
                raise UserError(
                    f"{entry.shown}: not a readable image ({first_line(error)}); remove it"
                ) from error
            if channels == 1 and pixels.ndim == 3:
                raise UserError(f"{entry.shown}: is in colour; the network takes gray images")
            made.append(np.dstack([pixels] * 3) if channels == 3 and pixels.ndim == 2 else pixels)
    stacked = torch.from_numpy(np.stack(made))
    return (stacked[:, None] if channels == 1 else stacked.movedim(3, 1)).contiguous()
