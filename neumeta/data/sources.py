"""Where datasets come from: scikit-learn, torchvision, image folders and zips of them."""

import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.data.dataset import Dataset, SplitName, channel_statistics
from neumeta.data.params import DataParams

DATA_ROOT_VARIABLE = "NEUMETA_DATA_ROOT"
DEFAULT_ROOT = "data/raw"
IMAGE_SUFFIXES = frozenset({".webp", ".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"})
EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"})
TORCHVISION_CLASSES = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}


@dataclass(frozen=True)
class RawImages:
    """Published images before any split of ours.

    Attributes:
        train: Pixels (n, channels, height, width) uint8 and targets (n, ...) int64.
        test: Likewise, or None where no test set is published.
        val: Likewise, or None where no validation set is published.
        classes: Class names.
        pixel_max: Largest possible pixel value.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor] | None
    val: tuple[Tensor, Tensor] | None
    classes: tuple[str, ...]
    pixel_max: int


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
        train, test = _split(name, train, params.test_fraction, params.split_seed)
    if val is None:
        train, val = _split(name, train, params.val_fraction, params.split_seed)
    parts: dict[SplitName, tuple[Tensor, Tensor]] = {"train": train, "val": val, "test": test}
    if params.limit is not None:
        parts = {k: _some(part, params.limit, params.split_seed) for k, part in parts.items()}
    mean, std = _normalisation(name, params, parts["train"][0], raw.pixel_max)
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


def data_root(params: DataParams) -> Path:
    """Choose the folder of a dataset.

    Args:
        params: Its section.

    Returns:
        $NEUMETA_DATA_ROOT (else data/raw), and below it the parameter `root`, which may also be
        an absolute path.
    """
    return Path(os.environ.get(DATA_ROOT_VARIABLE) or DEFAULT_ROOT) / (params.root or "")


def _split(
    name: str, pool: tuple[Tensor, Tensor], fraction: float, seed: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    images, labels = pool
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
    try:
        parts = [maker(str(root), train=train, download=params.download) for train in (True, False)]
    except (RuntimeError, OSError, ValueError, AssertionError) as error:
        raise UserError(
            f"{root}: no usable {params.name} there ({_first_line(error)}); set root or "
            f"${DATA_ROOT_VARIABLE} to a folder in torchvision's layout, or download: true"
        ) from error
    pairs = []
    for part in parts:
        pixels = torch.as_tensor(np.asarray(part.data))
        images = pixels[:, None] if pixels.ndim == 3 else pixels.movedim(3, 1)
        pairs.append((images.contiguous(), torch.as_tensor(part.targets, dtype=torch.int64)))
    return RawImages(pairs[0], pairs[1], None, tuple(parts[0].classes), pixel_max=255)


def _read_folder(params: DataParams) -> RawImages:
    root = data_root(params)
    if not root.exists():
        raise UserError(f"{root}: no such folder or zip; set root or ${DATA_ROOT_VARIABLE}")
    found: dict[str, list[tuple[str, str, np.ndarray]]] = {}
    for place, data in _image_files(root):
        split, label, file_name = place.parts[-3:]
        image = _decode(data, f"{root}: {place}", params.image_size)
        found.setdefault(split, []).append((label, file_name, image))
    if "train" not in found or set(found) - {"train", "val", "test"}:
        shown = ", ".join(sorted(found)) or "no image at all"
        raise UserError(f"{root}: needs images as train/CLASS/FILE (and test, val); found {shown}")
    classes = tuple(sorted({label for label, _, _ in found["train"]}))
    parts = {split: _stack(root, rows, classes) for split, rows in found.items()}
    for split, (images, _) in parts.items():
        if images.shape[1:] != parts["train"][0].shape[1:]:
            raise UserError(f"{root}: train and {split} images differ in shape; set image_size")
    return RawImages(parts["train"], parts.get("test"), parts.get("val"), classes, pixel_max=255)


def _stack(
    root: Path, rows: list[tuple[str, str, np.ndarray]], classes: tuple[str, ...]
) -> tuple[Tensor, Tensor]:
    rows = sorted(rows, key=lambda row: row[:2])
    shapes = {image.shape[:2] for _, _, image in rows}
    if len(shapes) > 1:
        raise UserError(f"{root}: images differ in size, {sorted(shapes)[:3]}; set image_size")
    if unknown := sorted({label for label, _, _ in rows} - set(classes)):
        raise UserError(f"{root}: class {unknown[0]!r} is not among the training classes")
    colour = any(image.ndim == 3 for _, _, image in rows)
    pixels = [np.dstack([i] * 3) if colour and i.ndim == 2 else i for _, _, i in rows]
    images = torch.from_numpy(np.stack(pixels))
    images = images.movedim(3, 1) if colour else images[:, None]
    labels = torch.tensor([classes.index(label) for label, _, _ in rows], dtype=torch.int64)
    return images.contiguous(), labels


def _image_files(root: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """List images of a tree, of a zip, or of a folder of zips, as (path, content)."""
    zips = [root] if root.is_file() else sorted(root.glob("*.zip"))
    for archive in zips:
        try:
            with zipfile.ZipFile(archive) as stream:
                for entry in sorted(stream.namelist()):
                    place = PurePosixPath(entry)
                    if _is_image(place):
                        yield place, stream.read(entry)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError) as error:
            raise UserError(f"{archive}: not a readable zip ({_first_line(error)})") from error
    if not zips:
        for path in sorted(root.rglob("*")):
            place = PurePosixPath(path.relative_to(root).as_posix())
            if path.is_file() and _is_image(place):
                yield place, path.read_bytes()


def _is_image(place: PurePosixPath) -> bool:
    return len(place.parts) >= 3 and place.suffix.lower() in IMAGE_SUFFIXES


def _decode(data: bytes, where: str, size: int | None) -> np.ndarray:
    try:
        opened = Image.open(io.BytesIO(data))
        if opened.mode not in EIGHT_BIT_MODES:
            allowed = ", ".join(sorted(EIGHT_BIT_MODES))
            raise UserError(f"{where}: pixel mode {opened.mode} would be clipped; use {allowed}")
        image = opened.convert("L" if opened.mode in {"L", "LA", "1"} else "RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{where}: not a readable image ({_first_line(error)})") from error
    if size is not None:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


_READERS = {
    "sklearn_digits": _read_digits,
    "torchvision": _read_torchvision,
    "folder": _read_folder,
}
