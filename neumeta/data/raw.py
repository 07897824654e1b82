"""Images as they were published."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class RawImages:
    """Published images before any split of ours.

    Attributes:
        train: Pixels (n, channels, height, width) uint8 and targets (n, ...) int64.
        test: Likewise, or None where no test set is published.
        val: Likewise, or None where no validation set is published.
        classes: Class names.
        pixel_max: Largest possible pixel value.
        notes: What was read, and what was not, for people.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor] | None
    val: tuple[Tensor, Tensor] | None
    classes: tuple[str, ...]
    pixel_max: int
    notes: tuple[str, ...] = ()
