"""What a network allows: groups of channels that can change places, and axes that must stay."""

from dataclasses import dataclass

from neumeta.tracing.groups import Group


@dataclass(frozen=True)
class Pinned:
    """Places of an axis that must stay.

    Attributes:
        tensor: Name of the parameter or buffer.
        axis: Which axis.
        places: How many of its places.
        reason: Why.
    """

    tensor: str
    axis: int
    places: int
    reason: str


@dataclass(frozen=True)
class Cliques:
    """What a network allows.

    Attributes:
        groups: Groups of channels, then groups of whole blocks.
        pinned: Axes, or parts of them, that are in no group.
        branches: Places in the network's code that ask for a number, as `if x.sum() > 0` does:
            the groups hold where the answers are as on the example.
        streams: Axes whose places are added up one by one, as those of a residual stream, whether
            or not they can change places; axes of one size that agree in every place are together.
    """

    groups: tuple[Group, ...]
    pinned: tuple[Pinned, ...]
    branches: tuple[str, ...] = ()
    streams: tuple[Group, ...] = ()
