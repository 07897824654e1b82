"""Where datasets come from: scikit-learn, torchvision, image folders and zips of them."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from neumeta.core.errors import UserError, first_line
from neumeta.data.dataset import Dataset, SplitName, channel_statistics
from neumeta.data.folder import read_folder
from neumeta.data.params import DataParams
from neumeta.data.raw import RawImages
from neumeta.data.roots import DATA_ROOT_VARIABLE, data_root

_log = logging.getLogger("neumeta")
TORCHVISION_CLASSES = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}


def load_dataset(name: str, params: DataParams) -> Dataset:
    """Read a dataset and split it, the same way for everybody who has the same section.

    Args:
        name: Key of the section in params.yaml.
        params: The section.

    Returns:
        The dataset with its train, val and test splits, stratified by class where an example has
        one.

    Raises:
        UserError: If the data is missing, damaged or inconsistent.
    """
    raw = _READERS[params.source](params)
    if (raw.test is None) != (params.test_fraction > 0):
        found = "no test split found" if raw.test is None else "there is a test split"
        wanted = "above 0" if raw.test is None else "to 0"
        raise UserError(f"data.{name}: {found}; set test_fraction {wanted}")
    train, test, val = raw.train, raw.test, raw.val
    if test is None:
        train, test = _split(name, train, params.test_fraction, params.split_seed, raw.classes)
    if val is None:
        train, val = _split(name, train, params.val_fraction, params.split_seed, raw.classes)
    parts: dict[SplitName, tuple[Tensor, Tensor]] = {"train": train, "val": val, "test": test}
    if params.limit is not None:
        parts = {k: _some(part, params.limit, params.split_seed) for k, part in parts.items()}
    mean, std = _normalisation(name, params, parts["train"][0], raw.pixel_max)
    for note in raw.notes:
        _log.info("%s: %s", name, note)
    return Dataset(
        name=name,
        task=params.task,
        images={split: images.contiguous() for split, (images, _) in parts.items()},
        labels={split: labels.contiguous() for split, (_, labels) in parts.items()},
        classes=raw.classes,
        pixel_max=raw.pixel_max,
        mean=mean,
        std=std,
    )


def _normalisation(
    name: str, params: DataParams, train: Tensor, pixel_max: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if params.mean is None or params.std is None:
        return channel_statistics(train, pixel_max)
    channels = train.shape[1]
    for key, values in (("mean", params.mean), ("std", params.std)):
        if len(values) != channels:
            raise UserError(f"data.{name}.{key}: has {len(values)} values; images have {channels}")
    return params.mean, params.std


def _some(part: tuple[Tensor, Tensor], limit: int, seed: int) -> tuple[Tensor, Tensor]:
    """A random subset: files of a folder come sorted by class."""
    images, labels = part
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:limit]
    return images[order], labels[order]


def _split(
    name: str,
    pool: tuple[Tensor, Tensor],
    fraction: float,
    seed: int,
    classes: Sequence[str] = (),
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    images, labels = pool
    if labels.ndim == 1 and classes:
        _refuse_rare(name, labels, classes)
    try:
        kept, held = train_test_split(
            np.arange(len(labels)),
            test_size=fraction,
            stratify=labels.numpy() if labels.ndim == 1 else None,
            random_state=seed,
        )
    except ValueError as error:
        raise UserError(f"data.{name}: cannot hold out a share of {fraction}: {error}") from error
    first, second = torch.from_numpy(kept), torch.from_numpy(held)
    return (images[first], labels[first]), (images[second], labels[second])


def _refuse_rare(name: str, labels: Tensor, classes: Sequence[str]) -> None:
    """A class is split, too: it needs an example on either side."""
    for number, count in enumerate(torch.bincount(labels, minlength=len(classes)).tolist()):
        if count == 1:
            raise UserError(
                f"data.{name}: class {classes[number]!r} has but one example; to be split, each "
                "class needs 2 or more"
            )


def _read_digits(params: DataParams) -> RawImages:
    digits = load_digits()
    images = torch.from_numpy(digits.images.astype(np.uint8))[:, None]
    labels = torch.from_numpy(digits.target.astype(np.int64))
    names = tuple(map(str, digits.target_names))
    return RawImages((images, labels), None, None, names, pixel_max=16)


def _read_torchvision(params: DataParams) -> RawImages:
    from neumeta.data.torchvision_door import datasets

    root = data_root(params)
    maker = getattr(datasets, TORCHVISION_CLASSES[str(params.name)])
    pairs = []
    try:
        parts = [maker(str(root), train=train, download=params.download) for train in (True, False)]
        for part in parts:
            pixels = torch.as_tensor(np.asarray(part.data))
            images = pixels[:, None] if pixels.ndim == 3 else pixels.movedim(3, 1)
            labels = torch.as_tensor(part.targets, dtype=torch.int64)
            if len(images) != len(labels) or not len(labels):
                raise ValueError(f"{len(images)} images and {len(labels)} labels")
            pairs.append((images.contiguous(), labels))
    except Exception as error:  # of damaged files, too, which it reads by pickle and struct
        raise UserError(
            f"{root}: no usable {params.name} there ({first_line(error)}); set root or "
            f"${DATA_ROOT_VARIABLE} to a folder in torchvision's layout, or download: true"
        ) from error
    return RawImages(pairs[0], pairs[1], None, tuple(parts[0].classes), pixel_max=255)


_READERS = {
    "sklearn_digits": _read_digits,
    "torchvision": _read_torchvision,
    "folder": read_folder,
}
