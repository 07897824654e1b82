"""Small trees and zips of images."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neumeta.data.params import DataParams

FOLDER = {"source": "folder", "val_fraction": 0.25, "split_seed": 0}
SPLITS = ("train", "test")
CLASSES = ("cat", "dog")


def folder_params(root: Path, **settings: Any) -> DataParams:
    """The section of a folder of images."""
    return DataParams.model_validate({**FOLDER, "root": str(root), **settings})


def write_images(folder: Path, mode: str = "L", size: int = 8) -> dict[tuple[str, ...], np.ndarray]:
    """Four images per class and split, lossless; returns the pixels by split/class/file."""
    random = np.random.default_rng(0)
    shape = (size, size) if mode == "L" else (size, size, 3)
    written: dict[tuple[str, ...], np.ndarray] = {}
    for split in SPLITS:
        for label in CLASSES:
            (folder / split / label).mkdir(parents=True)
            for index in range(4):
                pixels = random.integers(0, 256, shape, dtype=np.uint8)
                place = (split, label, f"{index}.png")
                Image.fromarray(pixels).save(folder.joinpath(*place))
                written[place] = pixels
    return written


def pack(folder: Path, target: Path, prefix: str = "", separator: str = "/") -> None:
    """Zip the images of a tree."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            name = prefix + path.relative_to(folder).as_posix()
            archive.writestr(name.replace("/", separator), path.read_bytes())


def encoded(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    """An image as the content of a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


def gray(value: int, size: tuple[int, int] = (8, 8)) -> Image.Image:
    """An image of one value."""
    return Image.new("L", size, value)
