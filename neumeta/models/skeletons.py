"""The architectures of one family without weights, each made once."""

from torch import nn

from neumeta.models.family import Family, Shape


class Skeletons:
    """Makes skeletons when they are first asked for; whoever gets one must not change it."""

    def __init__(self, family: Family) -> None:
        """Make nothing yet.

        Args:
            family: What is built.
        """
        self.family = family
        self._made: dict[int, nn.Module] = {}

    def at(self, width: int) -> nn.Module:
        """The architecture of a width, for `torch.func.functional_call`.

        Args:
            width: Base width h, channels.

        Returns:
            A module on the meta device, in evaluation mode.
        """
        if width not in self._made:
            self._made[width] = self.family.skeleton(width)
        return self._made[width]

    def shapes(self, width: int) -> dict[str, Shape]:
        """Shapes of all parameters at a width.

        Args:
            width: Base width h, channels.

        Returns:
            Shape by parameter name, in the order of the network.
        """
        return {name: tuple(value.shape) for name, value in self.at(width).named_parameters()}
