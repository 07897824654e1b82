"""Channels that share one order: which places of which axes of tensors move together."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["channel", "block"]


@dataclass(frozen=True)
class Member:
    """An axis of a tensor that follows the order of a group.

    Attributes:
        tensor: Name of the parameter or buffer.
        axis: Which axis.
        places: Places of every unit along the axis, shape (units, places of each): one for an
            ordinary channel, all its pixels after a flattening, all its channels for a head.
    """

    tensor: str
    axis: int
    places: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Group:
    """Units that can change places if all members follow: a clique group.

    Example: in `conv1 -> relu -> conv2`, the outputs of conv1 are the inputs of conv2, so with
    three channels the members are `("conv1.weight", 0)`, `("conv1.bias", 0)` and
    `("conv2.weight", 1)`, each with the places ((0,), (1,), (2,)). With the order (2, 0, 1) row 2
    of conv1.weight and of conv1.bias comes first, and column 2 of conv2.weight.

    Attributes:
        name: Layer whose channels come first, and what else tells it from other groups.
        members: All axes that must follow.
        level: Whether the units are channels or whole blocks of them, such as attention heads.
        stream: Whether results of two layers are added up in these units, as in a residual stream.
        bare: Where normalisations without tensors would have weights of these units.
    """

    name: str
    members: tuple[Member, ...]
    level: Level = "channel"
    stream: bool = field(default=False, compare=False)
    bare: tuple[Member, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        """Number of units."""
        return len(self.members[0].places)

    @property
    def axes(self) -> tuple[tuple[str, int], ...]:
        """Where the units are.

        Returns:
            Pairs of tensor name and axis, one for each member.
        """
        return tuple((member.tensor, member.axis) for member in self.members)

    @classmethod
    def of_axes(cls, name: str, axes: Iterable[tuple[str, int]], size: int) -> "Group":
        """A group whose units are single places, all along every axis.

        Args:
            name: Of the group.
            axes: Pairs of tensor name and axis.
            size: Places along each axis.

        Returns:
            The group.
        """
        places = tuple((place,) for place in range(size))
        return cls(name, tuple(Member(tensor, axis, places) for tensor, axis in axes))
