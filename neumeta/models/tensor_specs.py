"""The tensors that an INR makes, at one width: their names, shapes and clique groups."""

from dataclasses import dataclass

from neumeta.models.family import Family


@dataclass(frozen=True)
class TensorSpec:
    """One generated tensor at one width.

    Attributes:
        name: Parameter name.
        index: Position i among the generated tensors.
        shape: Shape at this width: (out,), (out, in) or (out, in, kernel, kernel).
        morphing: Axes whose length follows the width.
        groups: Clique group of axis 0 and of axis 1, or None where the axis is fixed.
        ranks: Place of every channel of axis 0 and of axis 1 in an order of its own, or None
            where that is its index.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    morphing: tuple[int, ...]
    groups: tuple[int | None, int | None] = (None, None)
    ranks: tuple[tuple[int, ...] | None, tuple[int, ...] | None] = (None, None)

    @property
    def out_size(self) -> int:
        """Cout.

        Returns:
            Number of channels, axis 0.
        """
        return self.shape[0]

    @property
    def in_size(self) -> int:
        """Cin; a bias counts as one input.

        Returns:
            Number of channels, axis 1.
        """
        return self.shape[1] if len(self.shape) > 1 else 1

    @property
    def kernel(self) -> int:
        """Side of the kernel.

        Returns:
            Positions per side; 1 for linear layers and biases.
        """
        return self.shape[2] if len(self.shape) > 2 else 1

    @property
    def rows(self) -> int:
        """Number of coordinates.

        Returns:
            Cout times Cin.
        """
        return self.out_size * self.in_size


def tensor_specs(family: Family, width: int) -> tuple[TensorSpec, ...]:
    """List the generated tensors of one width.

    Args:
        family: Gives names, shapes, clique groups and the order of streams.
        width: Base width h, channels.

    Returns:
        One spec per generated tensor.
    """
    shapes, morphing, ranks = family.shapes(width), family.morphing_axes, family.stream_ranks
    owner = {member: i for i, group in enumerate(family.groups) for member in group.members}
    return tuple(
        TensorSpec(
            name,
            index,
            shapes[name],
            morphing[name],
            (owner.get((name, 0)), owner.get((name, 1))),
            (ranks.get((name, 0)), ranks.get((name, 1))),
        )
        for index, name in enumerate(family.generated)
    )
