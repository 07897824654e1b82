"""What a folder of images is like, before anything is decided on it."""

from dataclasses import dataclass
from pathlib import Path

from neumeta.core.errors import UserError, first_line
from neumeta.data.entries import listed
from neumeta.data.images import decode
from neumeta.data.layout import labelled

SMALLEST, LARGEST = 8, 32  # pixels; sides between need no resizing
_SIDES = (8, 16, 32)
_WHITE = 255


@dataclass(frozen=True)
class Look:
    """What decides on the section of a data set.

    Attributes:
        count: Number of images.
        sizes: Heights and widths that occur, pixels.
        has_test: Whether a split `test` is there.
    """

    count: int
    sizes: frozenset[tuple[int, int]]
    has_test: bool

    @property
    def image_size(self) -> int | None:
        """To which side the images are resized.

        Returns:
            Pixels; None where they are small and alike.
        """
        sides = [side for size in self.sizes for side in size]
        if len(self.sizes) == 1 and SMALLEST <= min(sides) <= max(sides) <= LARGEST:
            return None
        return next((side for side in _SIDES if max(sides) <= side), _SIDES[-1])


def look_at(root: Path) -> Look:
    """Look all images of a folder through.

    Args:
        root: A folder or zip of images; see the stage `data`.

    Returns:
        What was found.

    Raises:
        UserError: If the images are no data set, or one of them cannot be read.
    """
    sizes, splits, count = set(), set(), 0
    with listed(root) as found:
        for image in labelled(root, found):
            try:
                pixels = decode(image.entry.read(), None, _WHITE)
            except Exception as error:  # decoders raise whatever they stumble over
                raise UserError(
                    f"{image.entry.shown}: not a readable image ({first_line(error)}); remove it"
                ) from error
            height, width = pixels.shape[:2]
            sizes.add((height, width))
            splits.add(image.split)
            count += 1
    return Look(count, frozenset(sizes), "test" in splits)
