"""Reading a data set from a folder of images, a zip of one, or a folder of zips."""

import difflib
import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neumeta.core.errors import UserError, first_line
from neumeta.data.entries import Tally, listed, shown
from neumeta.data.images import decode
from neumeta.data.layout import Labelled, labelled
from neumeta.data.params import DataParams
from neumeta.data.raw import RawImages
from neumeta.data.roots import DATA_ROOT_VARIABLE, data_root

Decoded = tuple[Labelled, np.ndarray]


def read_folder(params: DataParams) -> RawImages:
    """Read all images of a data set.

    Args:
        params: Its section.

    Returns:
        Gray images if all are gray, else images in colour; classes in the order of their names.

    Raises:
        UserError: If an image cannot be read or used, or the folder means no data set.
    """
    root = data_root(params)
    if not root.exists():
        raise UserError(f"{root}: no such folder or zip; set root or ${DATA_ROOT_VARIABLE}")
    with listed(root) as found:
        images = _chosen(_as_published(labelled(root, found), params), params)
        decoded = [
            (image, pixels)
            for image in sorted(images, key=lambda image: image.key)
            if (pixels := _decode(image, params, found.tally)) is not None
        ]
    _refuse_losses(root, images, decoded)
    _check_sizes(root, decoded)
    gray = sum(pixels.ndim == 2 for _, pixels in decoded)
    splits: dict[str, list[Decoded]] = defaultdict(list)
    for image, pixels in decoded:
        splits[image.split].append((image, pixels))
    classes = _classes(root, params, splits["train"])
    parts = {
        split: _stack(root, rows, classes, colour=gray < len(decoded))
        for split, rows in splits.items()
    }
    notes = [f"read {len(decoded)}, {found.tally.text()}"]
    if 0 < gray < len(decoded):
        notes.append(f"{gray} gray images among others in colour; each became three equal channels")
    return RawImages(
        parts["train"],
        parts.get("test"),
        parts.get("val"),
        classes,
        pixel_max=255,
        notes=tuple(notes),
    )


def _as_published(images: list[Labelled], params: DataParams) -> list[Labelled]:
    if not params.val_is_test:
        return images
    found = {image.split for image in images}
    if found != {"train", "val"}:
        raise UserError(
            f"{data_root(params)}: val_is_test needs the splits train and val alone, found "
            f"{', '.join(sorted(found))}"
        )
    return [replace(image, split="test") if image.split == "val" else image for image in images]


def _chosen(images: list[Labelled], params: DataParams) -> list[Labelled]:
    """As many images of each split as its limit can take, drawn at random."""
    if params.limit is None:
        return images
    kept: list[Labelled] = []
    shares = (1 - params.val_fraction) * (1 - params.test_fraction)
    for split in dict.fromkeys(image.split for image in images):
        own = sorted((image for image in images if image.split == split), key=lambda i: i.key)
        needed = math.ceil(params.limit / (shares if split == "train" else 1)) + 1
        generator = torch.Generator().manual_seed(params.split_seed)
        order = torch.randperm(len(own), generator=generator)[:needed]
        kept += [own[place] for place in sorted(order.tolist())]
    return kept


def _classes(root: Path, params: DataParams, train: list[Decoded]) -> tuple[str, ...]:
    if params.classes is None:
        return tuple(sorted({image.label for image, _ in train}))
    path = root / params.classes
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot read the names of classes: {first_line(error)}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if len(set(names)) < max(len(names), 2):
        raise UserError(f"{path}: must hold two or more names of classes, each once, one a line")
    return names


def _decode(image: Labelled, params: DataParams, tally: Tally) -> np.ndarray | None:
    try:
        return decode(image.entry.read(), params.image_size, params.background, params.crop)
    except Exception as error:  # decoders raise whatever they stumble over
        if params.unreadable == "skip":
            tally.ignore("not a readable image", image.entry.shown)
            return None
        raise UserError(
            f"{image.entry.shown}: not a readable image ({first_line(error)}); remove it, or set "
            "unreadable: skip"
        ) from error


def _refuse_losses(root: Path, images: list[Labelled], decoded: list[Decoded]) -> None:
    """A class of whose images none could be read would vanish."""
    kept = {(image.split, image.label) for image, _ in decoded}
    for image in images:
        if (image.split, image.label) not in kept:
            raise UserError(
                f"{shown(root)}: no image of class {image.label!r} in {image.split} can be read, "
                f"such as {image.entry.place}"
            )


def _check_sizes(root: Path, decoded: list[Decoded]) -> None:
    first: dict[tuple[int, ...], Labelled] = {}
    for image, pixels in decoded:
        first.setdefault(pixels.shape[:2], image)
    if len(first) > 1:
        kinds = ", ".join(
            f"{width} x {height} ({image.entry.place})"
            for (height, width), image in list(first.items())[:3]
        )
        raise UserError(
            f"{shown(root)}: images differ in size: {len(first)} sizes, such as {kinds}; set "
            "image_size to resize them all to one square"
        )


def _stack(
    root: Path, rows: list[Decoded], classes: tuple[str, ...], *, colour: bool
) -> tuple[Tensor, Tensor]:
    for image, _ in rows:
        if image.label not in classes:
            near = difflib.get_close_matches(
                image.label.lower(), [c.lower() for c in classes], 1, 0.85
            )
            like = [name for name in classes if [name.lower()] == near]
            hint = f"; did you mean {like[0]!r}?" if like else ""
            raise UserError(
                f"{shown(root)}: class {image.label!r} of {image.split} is not among the training "
                f"classes{hint}"
            )
    pixels = [np.dstack([p] * 3) if colour and p.ndim == 2 else p for _, p in rows]
    images = torch.from_numpy(np.stack(pixels))
    images = images.movedim(3, 1) if colour else images[:, None]
    number = {name: index for index, name in enumerate(classes)}
    labels = torch.tensor([number[image.label] for image, _ in rows], dtype=torch.int64)
    return images.contiguous(), labels
