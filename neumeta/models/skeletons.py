"""The architectures of one family without weights, each made once."""

from torch import nn

from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.tensor_specs import Shape


class Skeletons:
    """Makes skeletons when they are first asked for; whoever gets one must not change it."""

    def __init__(self, family: Family) -> None:
        """Make nothing yet.

        Args:
            family: What is built.
        """
        self.family = family
        self._made: dict[Point, nn.Module] = {}

    def at(self, point: Point) -> nn.Module:
        """The architecture of a network, for `torch.func.functional_call`.

        Args:
            point: Which network.

        Returns:
            A module on the meta device, in evaluation mode.
        """
        if point not in self._made:
            self._made[point] = self.family.skeleton(point)
        return self._made[point]

    def shapes(self, point: Point) -> dict[str, Shape]:
        """Shapes of all parameters of a network.

        Args:
            point: Which network.

        Returns:
            Shape by parameter name, in the order of the network.
        """
        return {name: tuple(value.shape) for name, value in self.at(point).named_parameters()}
