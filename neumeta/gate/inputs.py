"""What twins read: images and base networks of the right shapes, made here, so nothing is missing.

The numbers are random. A twin is not judged by what it learns, but by whether old and new code
make the same of it.
"""

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.random import Generator, default_rng
from PIL import Image

from neumeta.models.registry import make_family

CLASSES = tuple(f"class{number}" for number in range(10))
PER_CLASS = {"train": 8, "test": 4}
# Images of the twins are small, and lie in a tree of their own classes.
_AS_WRITTEN = {"image_size": None, "crop": None, "classes": None, "val_is_test": False}
_MNIST_NAMES = {"train": "train", "test": "t10k"}


def make_data(folder: Path, sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Make the images that datasets read, and point the datasets at them.

    Args:
        folder: Where files are put; the twins find it as $NEUMETA_DATA_ROOT.
        sections: The section `data` of params.yaml.

    Returns:
        The section of the twins.
    """
    random = default_rng(0)
    twins: dict[str, Any] = {}
    for name, section in sections.items():
        twin = {**section, "limit": section.get("limit") or 48}
        if section["source"] == "torchvision" and section["name"] in ("mnist", "fashion_mnist"):
            root = folder / name
            _write_idx(root / ("MNIST" if section["name"] == "mnist" else "FashionMNIST"), random)
            twin |= {"root": name, "download": False}
        elif section["source"] == "folder":
            twin |= {key: value for key, value in _AS_WRITTEN.items() if key in twin}
            twin |= {"root": name}
            _write_images(folder / name, random)
        elif section["source"] != "sklearn_digits":
            continue  # its stage then fails on both sides, and says why
        twins[name] = twin
    return twins


def _write_idx(folder: Path, random: Generator) -> None:
    """Write images of 28 x 28 pixels in the format of MNIST."""
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for split, count in PER_CLASS.items():
        labels = np.arange(count * len(CLASSES), dtype=np.uint8) % len(CLASSES)
        images = random.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        head = struct.pack(">4B3I", 0, 0, 8, 3, *images.shape)
        name = _MNIST_NAMES[split]
        (raw / f"{name}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = struct.pack(">4BI", 0, 0, 8, 1, len(labels))
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())


def _write_images(folder: Path, random: Generator) -> None:
    """Write a tree split/class/file of images of 32 x 32 pixels."""
    for split, count in PER_CLASS.items():
        for name in CLASSES:
            place = folder / split / name
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")


def make_checkpoint(folder: Path, section: Mapping[str, Any]) -> dict[str, Any]:
    """Make the file of weights that an experiment would read, and name its hash.

    Args:
        folder: Where the file is put, under the name of the address.
        section: An experiment, with its family and `fetch`.

    Returns:
        Its `fetch` with the hash of that file; unchanged if it trains its base network.
    """
    fetch = dict(section["fetch"])
    if fetch["source"] == "train":
        return fetch
    spec = {"image_shape": [3, 32, 32], "classes": list(CLASSES)}
    family = make_family(section["family"], spec)
    network = family.initialised(family.base, seed=0)
    generator = torch.Generator().manual_seed(1)
    state = network.state_dict()
    for name, value in state.items():  # statistics as after a training, not 0 and 1
        if name.endswith("running_mean"):
            value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
        elif name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    path = folder / PurePosixPath(fetch.get("url") or fetch["path"]).name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        torch.save(state, path)
    return {**fetch, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def fitting_family(family: Mapping[str, Any]) -> dict[str, Any]:
    """Let a network that somebody builds answer for the classes of the twins.

    Args:
        family: The section of an experiment.

    Returns:
        The section of its twin.
    """
    if family.get("name") != "traced":
        return dict(family)
    return {**family, "options": {**(family.get("options") or {}), "num_classes": len(CLASSES)}}
