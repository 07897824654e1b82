"""Which axes of which tensors share one channel order: the clique groups of a network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CliqueGroup:
    """Tensors that must be permuted together, as a table.

    Example: in `conv1 -> relu -> conv2`, the outputs of conv1 are the inputs of conv2, so the
    group is `(("conv1.weight", 0), ("conv1.bias", 0), ("conv2.weight", 1))`. With the order
    (2, 0, 1) row 2 of conv1.weight and of conv1.bias comes first, and column 2 of conv2.weight.

    Attributes:
        name: The layer that makes the channels.
        members: Pairs of tensor name and axis.
    """

    name: str
    members: tuple[tuple[str, int], ...]
