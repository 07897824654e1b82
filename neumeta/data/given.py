"""A data set out of what a program holds: a tensor, a DataLoader, or a folder of pictures."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError
from neumeta.data.dataset import Dataset, SplitName
from neumeta.data.entries import shown
from neumeta.data.look import look_at
from neumeta.data.params import DataParams
from neumeta.data.sources import load_dataset

VAL_SHARE = 0.1
_PIXELS = 255


@called_by_users
def given_dataset(
    images: Any,
    *,
    name: str = "given",
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    count: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Make a data set of images; a tenth of them, drawn by the seed, is held out for validation.

    Args:
        images: A folder or zip of pictures in folders of their classes; or what gives batches: a
            DataLoader or another iterable of tensors, or of pairs (images, classes); or a tensor.
            Tensors are what the network takes, shape (n, channels, height, width).
        name: Of the data set.
        image_size: Of a folder: side to which pictures are resized, pixels.
        mean: Per channel, by which tensors were normalised, of pixels in 0 to 1; of a folder,
            by which they shall be, None taking that of the pictures.
        std: Likewise.
        classes: Names of the classes, in the order of the network's outputs.
        count: At most so many images of batches.
        seed: Of the split.

    Returns:
        The data set; its test split is its validation split where no test set is there. Where
        classes are unknown, all labels are -1 and no names are there.

    Raises:
        UserError: If these are no images, or too few.
    """
    if isinstance(images, str | Path):
        return _of_folder(Path(images), name, image_size, mean, std, seed)
    inputs, labels = _collected(images, count)
    if len(inputs) < 2:
        raise UserError(f"images: {len(inputs)} given; two or more are needed")
    scale, middle, spread = 1, (0.0,) * inputs.shape[1], (1.0,) * inputs.shape[1]
    if mean is not None and std is not None:
        scale, middle, spread = _PIXELS, tuple(map(float, mean)), tuple(map(float, std))
        if not len(middle) == len(spread) == inputs.shape[1]:
            raise UserError(
                f"mean and std must have one number for each of {inputs.shape[1]} channels"
            )
        inputs = (inputs * _along(spread) + _along(middle)) * scale
    names = tuple(classes or getattr(getattr(images, "dataset", None), "classes", None) or ())
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    held = max(1, round(VAL_SHARE * len(inputs)))
    found = labels if labels is not None else torch.full((len(inputs),), -1)
    parts: dict[SplitName, Tensor] = {
        "train": order[held:],
        "val": order[:held],
        "test": order[:held],
    }
    return Dataset(
        name=name,
        task="classification",
        images={split: inputs[rows] for split, rows in parts.items()},
        labels={split: found[rows] for split, rows in parts.items()},
        classes=names,
        pixel_max=scale,
        mean=middle,
        std=spread,
    )


def _of_folder(
    root: Path,
    name: str,
    image_size: int | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    seed: int,
) -> Dataset:
    place = Path(os.path.abspath(root))
    if not place.exists():
        raise UserError(f"{shown(root)}: no such folder or zip of images")
    settings = {
        "source": "folder",
        "root": str(place),
        "val_fraction": VAL_SHARE,
        "test_fraction": 0.0 if look_at(place).has_test else VAL_SHARE,
        "split_seed": seed,
        "image_size": image_size,
        "mean": None if mean is None else tuple(map(float, mean)),
        "std": None if std is None else tuple(map(float, std)),
    }
    return load_dataset(name, DataParams.model_validate(settings))


def _collected(images: Any, count: int | None) -> tuple[Tensor, Tensor | None]:
    """All images in one tensor, and their classes where every batch has them."""
    if isinstance(images, Tensor):
        return _batch(images)[:count], None
    if not isinstance(images, Iterable):
        raise UserError(
            f"images are a {type(images).__name__}; must be a folder, a tensor, or a DataLoader"
        )
    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    held = 0
    for batch in images:
        first, *others = batch if isinstance(batch, list | tuple) else (batch,)
        inputs.append(_batch(first))
        if others and isinstance(others[0], Tensor) and others[0].ndim == 1:
            labels.append(others[0].long())
        held += len(inputs[-1])
        if count is not None and held >= count:
            break
    if not inputs:
        raise UserError("images: no batch came; is the DataLoader empty?")
    together = torch.cat(inputs)[:count]
    known = torch.cat(labels)[:count] if len(labels) == len(inputs) else None
    return together, known if known is not None and len(known) == len(together) else None


def _batch(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.ndim != 4 or not value.is_floating_point():
        found = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value)
        raise UserError(
            f"images: a batch is {found}; must be what the network takes, numbers with a fraction "
            "of shape (n, channels, height, width)"
        )
    return value.detach().cpu().float()


def _along(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)
