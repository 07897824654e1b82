"""Where weights come from: anything that holds a network for every point of a family."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from neumeta.models.axes import Point
from neumeta.models.family import Family


@dataclass(frozen=True)
class Card:
    """What a source is and what it was made of.

    Attributes:
        kind: Of the file, such as `inr`.
        seed: Of its training; None where nothing was drawn.
        stored_bytes: Size of what it stores, all tensors together.
        parents: Sha256 of what it was made of, by role, such as `base` and `data`.
        trained: Points that its training visited.
    """

    kind: str
    seed: int | None
    stored_bytes: int
    parents: Mapping[str, str]
    trained: tuple[Point, ...]


@runtime_checkable
class WeightSource(Protocol):
    """Gives the weights of any network of a family."""

    @property
    def family(self) -> Family:
        """Which networks.

        Returns:
            The family.
        """

    @property
    def card(self) -> Card:
        """What the source is.

        Returns:
            Its card.
        """

    def weights(self, at: Point, /, *, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Make one network.

        Args:
            at: Which.
            generator: Source of whatever is drawn; sources that draw nothing leave it alone.

        Returns:
            All parameters by name, without gradients.
        """
