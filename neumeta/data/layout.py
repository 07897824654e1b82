"""What the places of images mean: SPLIT/CLASS/FILE, or CLASS/FILE of a set that has no splits."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from neumeta.core.errors import UserError
from neumeta.data.dataset import SPLITS
from neumeta.data.entries import Entry, Listing, shown

_SHOWN = 5


@dataclass(frozen=True)
class Labelled:
    """An image with its class.

    Attributes:
        split: train, val or test; train where there are no splits.
        label: Its class.
        entry: The file.
    """

    split: str
    label: str
    entry: Entry

    @property
    def key(self) -> tuple[str, str]:
        """What images of a split are sorted by.

        Returns:
            Class and name.
        """
        return self.label, self.entry.place.name


def labelled(root: Path, found: Listing) -> list[Labelled]:
    """Read split and class off the places of images.

    Splits are looked for first: images that lie in a folder CLASS of a folder train, val or test,
    wherever that is. Where there is none, all images must lie in folders of one folder.

    Args:
        root: What was listed, for errors.
        found: What lies there; images outside of all classes are noted as ignored.

    Returns:
        All images that have a class.

    Raises:
        UserError: If the places mean neither, or a folder of a class holds no image.
    """
    deep = [entry for entry in found.images if len(entry.place.parts) >= 3]
    split = any(entry.place.parts[-3] in SPLITS for entry in deep)
    images = _with_splits(root, found) if split else _without_splits(root, found)
    _refuse_empty(root, found, images, split)
    return images


def _with_splits(root: Path, found: Listing) -> list[Labelled]:
    images, elsewhere = [], set()
    for entry in found.images:
        *above, _ = entry.place.parts
        if len(above) >= 2 and above[-2] in SPLITS:
            images.append(Labelled(above[-2], above[-1], entry))
        elif len(above) >= 2:
            deeper = any(part in SPLITS for part in above[:-2])
            elsewhere.add(str(PurePosixPath(*above)) if deeper else above[-2])
        else:
            found.tally.ignore("in no folder of a class", entry.shown)
    _refuse_twice(root, images)
    splits = {image.split for image in images}
    if "train" not in splits or elsewhere:
        raise _unclear(root, splits | elsewhere)
    return images


def _refuse_twice(root: Path, images: Iterable[Labelled]) -> None:
    """Two folders of one split are two data sets, or one and its copy."""
    first: dict[str, PurePosixPath] = {}
    for image in images:
        folder = image.entry.place.parents[1]
        if first.setdefault(image.split, folder) != folder:
            raise UserError(
                f"{shown(root)}: two folders of the split {image.split}, "
                f"{shown(first[image.split])} and {shown(folder)}; keep one, or name the folder "
                "above one of them as root"
            )


def _without_splits(root: Path, found: Listing) -> list[Labelled]:
    classes = [entry for entry in found.images if len(entry.place.parts) >= 2]
    above = {entry.place.parts[:-2] for entry in classes}
    names = {entry.place.parts[-2] for entry in classes}
    if len(above) != 1 or len(names) < 2 or names & {*SPLITS}:
        raise _unclear(root, {"/".join(entry.place.parts[:-1]) or "." for entry in found.images})
    for entry in found.images:
        if len(entry.place.parts) < 2:
            found.tally.ignore("in no folder of a class", entry.shown)
    return [Labelled("train", entry.place.parts[-2], entry) for entry in classes]


def _unclear(root: Path, folders: Iterable[str]) -> UserError:
    names = sorted(folders)
    listed = ", ".join(names[:_SHOWN]) or "no image at all"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return UserError(
        f"{shown(root)}: needs images as train/CLASS/FILE (and test, val), or in two or more "
        f"folders CLASS/FILE without splits; found {listed}{more}"
    )


def _refuse_empty(root: Path, found: Listing, images: list[Labelled], split: bool) -> None:
    """A folder beside those of classes, or of splits, is one, too, and would vanish."""
    full = {image.entry.place.parent for image in images}
    beside = {folder.parent for folder in full}
    splits = {train.parent / name for train in beside for name in SPLITS} if split else set()
    for folder in sorted(found.folders - full - {PurePosixPath()}):
        if folder.parent in beside or (folder in splits and folder not in beside):
            kind = "a split" if folder in splits else "the folder of a class"
            raise UserError(
                f"{shown(root)}: {shown(folder)} is {kind} without images "
                f"({found.tally.text()}); put some there, or remove it"
            )
