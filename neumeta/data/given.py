"""A data set out of what a program holds: a tensor, a DataLoader, or a folder of pictures."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError
from neumeta.core.fields import MOST_COUNT, whole
from neumeta.core.reading import parse
from neumeta.data.dataset import Dataset, SplitName
from neumeta.data.entries import listed, shown
from neumeta.data.layout import labelled
from neumeta.data.params import DataParams
from neumeta.data.sources import load_dataset

VAL_SHARE = 0.1
_PIXELS = 255
_FAR = 2.0  # beyond 0 and 1; augmented pixels may lie a little outside


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
        classes: Names of the classes, in the order of the network's outputs; of a folder, by
            default, the order of their names.
        count: At most so many images; of a folder, of each of its splits.
        seed: Of the split.

    Returns:
        The data set; its test split is its validation split where no test set is there. Where
        classes are unknown, all labels are -1 and no names are there.

    Raises:
        UserError: If these are no images, or too few, or a setting is none.
    """
    if count is not None:
        whole("count", count, 2, MOST_COUNT)
    middle, spread = _numbers("mean", mean), _numbers("std", std)
    if (middle is None) != (spread is None):
        raise UserError("mean and std go together; give both or neither")
    if spread is not None and min(spread) <= 0:
        raise UserError(f"std holds {min(spread):g}; must be above 0 in every channel")
    if isinstance(images, str | Path):
        settings = {"image_size": image_size, "mean": middle, "std": spread, "limit": count}
        return _in_order(_of_folder(Path(images), name, settings, seed), classes)
    inputs, labels = _collected(images, count)
    if len(inputs) < 2:
        raise UserError(f"images: {len(inputs)} given; two or more are needed")
    if not bool(inputs.isfinite().all()):
        raise UserError("images: hold numbers that are not finite")
    scale = 1
    if middle is None or spread is None:
        middle, spread = (0.0,) * inputs.shape[1], (1.0,) * inputs.shape[1]
    else:
        scale = _PIXELS
        if not len(middle) == len(spread) == inputs.shape[1]:
            raise UserError(
                f"mean and std must have one number for each of {inputs.shape[1]} channels"
            )
        inputs = inputs * _along(spread) + _along(middle)
        low, high = (float(value) for value in inputs.aminmax())
        if not -_FAR <= low <= high <= 1 + _FAR:
            raise UserError(
                f"images: by this mean and std their pixels are {low:.3g} to {high:.3g}, not 0 to "
                "1; they must be normalised, as the network takes them"
            )
        inputs = inputs * scale
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


def _numbers(name: str, values: object) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        numbers = tuple(float(value) for value in iter(values))  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} is {values!r}; must have one number for each channel") from error
    if not numbers or not all(map(math.isfinite, numbers)):
        raise UserError(f"{name} is {values!r}; must have one finite number for each channel")
    return numbers


def _in_order(dataset: Dataset, classes: Sequence[str] | None) -> Dataset:
    """The same images, classes numbered as the outputs of the network are."""
    if classes is None or tuple(classes) == dataset.classes:
        return dataset
    if sorted(classes) != sorted(dataset.classes):
        raise UserError(
            f"classes are {', '.join(map(str, classes))}; the folder has "
            f"{', '.join(dataset.classes)}"
        )
    number = torch.tensor([list(classes).index(name) for name in dataset.classes])
    labels = {split: number[values] for split, values in dataset.labels.items()}
    return replace(dataset, labels=labels, classes=tuple(classes))


def _of_folder(root: Path, name: str, chosen: Mapping[str, Any], seed: int) -> Dataset:
    place = Path(os.path.abspath(root))
    if not place.exists():
        raise UserError(f"{shown(root)}: no such folder or zip of images")
    with listed(place) as found:
        has_test = any(image.split == "test" for image in labelled(place, found))
    settings = {
        "source": "folder",
        "root": str(place),
        "val_fraction": VAL_SHARE,
        "test_fraction": 0.0 if has_test else VAL_SHARE,
        "split_seed": seed,
        **chosen,
    }
    return load_dataset(name, parse(DataParams, settings, str(root), ""))


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
            if others[0].is_floating_point():
                raise UserError(f"images: classes are {others[0].dtype}; must be whole numbers")
            labels.append(others[0].detach().cpu().long())
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
