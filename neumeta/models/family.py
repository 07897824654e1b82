"""Families: networks that differ only in their base width h."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from neumeta.errors import UserError
from neumeta.models.groups import CliqueGroup
from neumeta.models.lenet import LENET_GROUPS, LeNet

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Family:
    """A recipe that builds a network of any width.

    Attributes:
        name: Key in the registry.
        settings: The `family` section of params.yaml, as a plain mapping.
        input_spec: What the network takes; see `Dataset.input_spec`.
        groups: Clique groups, equal for all widths.
        maker: Builds the module for a width.
        frozen: Names of the tensors that the INR does not make; they stay those of the base.
    """

    name: str
    settings: Mapping[str, Any]
    input_spec: Mapping[str, Any]
    groups: tuple[CliqueGroup, ...]
    maker: Callable[[int], nn.Module]
    frozen: frozenset[str] = frozenset()

    @property
    def base_width(self) -> int:
        """Width of the base network.

        Returns:
            The width, channels.
        """
        return int(self.settings["base_width"])

    def skeleton(self, width: int) -> nn.Module:
        """Build a network without weights, for `torch.func.functional_call`.

        Args:
            width: Base width h, channels.

        Returns:
            The network on the meta device, in evaluation mode.
        """
        self.check_width(width)
        with torch.device("meta"):
            return self.maker(width).eval()

    def initialised(self, width: int, seed: int) -> nn.Module:
        """Build a network with fresh weights that depend on the seed only.

        torch's initialisers know no generator, so the global one is set and put back.

        Args:
            width: Base width h, channels.
            seed: Seed of the initial weights.

        Returns:
            The network.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.build(width)

    def build(self, width: int) -> nn.Module:
        """Build a network with fresh weights.

        Args:
            width: Base width h, channels.

        Returns:
            The network, in evaluation mode.

        Raises:
            UserError: If the width lies outside the family.
        """
        self.check_width(width)
        return self.maker(width).eval()

    def check_width(self, width: int) -> None:
        """Refuse a width outside the family.

        Args:
            width: Base width h, channels.

        Raises:
            UserError: Naming the allowed range.
        """
        low, high = int(self.settings["min_width"]), int(self.settings["max_width"])
        if not low <= width <= high:
            raise UserError(f"width {width} is outside the {self.name} family; use {low}..{high}")

    def shapes(self, width: int) -> dict[str, Shape]:
        """Shapes of all parameters at a width, without allocating them.

        Args:
            width: Base width h, channels.

        Returns:
            Shape by parameter name, in the order of the network.
        """
        network = self.skeleton(width)
        return {name: tuple(value.shape) for name, value in network.named_parameters()}

    @cached_property
    def generated(self) -> tuple[str, ...]:
        """Names of the tensors that the INR makes, in the order of the network.

        Returns:
            All parameters but the frozen ones.
        """
        return tuple(name for name in self.shapes(self.base_width) if name not in self.frozen)

    @cached_property
    def morphing_axes(self) -> dict[str, tuple[int, ...]]:
        """Axes of each generated tensor whose length follows the width.

        Returns:
            Axes by tensor name, ascending; none for a tensor of fixed shape.
        """
        axes: dict[str, set[int]] = {name: set() for name in self.generated}
        for group in self.groups:
            for name, axis in group.members:
                if name in axes:
                    axes[name].add(axis)
        return {name: tuple(sorted(found)) for name, found in axes.items()}

    def example_input(self, batch: int = 1) -> Tensor:
        """Zeros of the right input shape.

        Args:
            batch: Number of examples.

        Returns:
            A tensor of shape (batch, channels, height, width).
        """
        return torch.zeros(batch, *self.input_spec["image_shape"])

    def header(self) -> dict[str, Any]:
        """Describe the family so that `family_from_header` builds it again.

        Returns:
            A JSON-ready mapping.
        """
        return {"family": dict(self.settings), "input": dict(self.input_spec)}


def make_family(settings: Mapping[str, Any], input_spec: Mapping[str, Any]) -> Family:
    """Build a family from its section and its dataset.

    Args:
        settings: The `family` section as a plain mapping, with the key `name`.
        input_spec: What the network takes; see `Dataset.input_spec`.

    Returns:
        The family.

    Raises:
        UserError: If the name is unknown.
    """
    name = str(settings["name"])
    if name not in _MAKERS:
        raise UserError(f"family {name!r} is unknown; allowed are {', '.join(_MAKERS)}")
    return _MAKERS[name](settings, input_spec)


def family_from_header(header: Mapping[str, Any]) -> Family:
    """Rebuild the family that a checkpoint belongs to.

    Args:
        header: A checkpoint's JSON header.

    Returns:
        The family.

    Raises:
        UserError: If the header describes no family.
    """
    try:
        return make_family(header["family"], header["input"])
    except KeyError as error:
        raise UserError(f"checkpoint header lacks {error}; was it written by neumeta?") from error


def _make_lenet(settings: Mapping[str, Any], input_spec: Mapping[str, Any]) -> Family:
    channels, height, width = input_spec["image_shape"]
    if min(height, width) < 8:
        raise UserError(f"family lenet needs images of 8 x 8 or more, got {height} x {width}")
    classes = len(input_spec["classes"])

    def build(base_width: int) -> nn.Module:
        return LeNet(base_width, in_channels=channels, classes=classes, head=settings["head"])

    return Family("lenet", settings, input_spec, LENET_GROUPS, build)


_MAKERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Family]] = {
    "lenet": _make_lenet
}
