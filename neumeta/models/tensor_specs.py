"""The tensors that an INR makes, at one point of a family: their names and shapes."""

import math
from dataclasses import dataclass

Shape = tuple[int, ...]
Ranks = tuple[int | float, ...]
Owners = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class TensorSpec:
    """One generated tensor at one point.

    Attributes:
        name: Parameter name.
        index: Position i among the generated tensors.
        shape: Shape at this point: (out,), (out, in) or (out, in, kernel, kernel).
        morphing: Axes of the tensor whose length differs between points.
        ranks: Place of every channel of axis 0 and of axis 1 in an order of its own, or None
            where that is its index.
        owners: By axis, group and unit of every place, where units have several places or share
            the axis with others, else None.
    """

    name: str
    index: int
    shape: Shape
    morphing: tuple[int, ...]
    ranks: tuple[Ranks | None, Ranks | None] = (None, None)
    owners: tuple[Owners | None, Owners | None] = (None, None)

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
    def kernel(self) -> tuple[int, int]:
        """Size of the kernel.

        Returns:
            Height and width in positions; 1 each for linear layers and biases, height 1 for kernels
            of one dimension; of more than two, all but the first lie in a row.
        """
        sides = self.shape[2:]
        if len(sides) < 2:
            return 1, math.prod(sides)
        return sides[0], math.prod(sides[1:])

    @property
    def rows(self) -> int:
        """Number of coordinates.

        Returns:
            Cout times Cin.
        """
        return self.out_size * self.in_size
