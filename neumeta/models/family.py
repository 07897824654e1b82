"""Families: networks that differ only in their base width h."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.blocks import BlockPlan
from neumeta.models.cifar_resnet import STAGE_WIDTHS as CIFAR_STAGES
from neumeta.models.cifar_resnet import CifarResNet
from neumeta.models.groups import CliqueGroup
from neumeta.models.lenet import LENET_GROUPS, LeNet

Shape = tuple[int, ...]
STREAM_ORDERS = "stream_orders"


@dataclass(frozen=True)
class Family:
    """A recipe that builds a network of any width.

    Attributes:
        name: Key in the registry.
        settings: The `family` section of params.yaml, as a plain mapping.
        input_spec: What the network takes; see `Dataset.input_spec`.
        groups: Clique groups of the channels that morph, equal for all widths.
        maker: Builds the module for a width, with BatchNorm folded away.
        norm_maker: Builds it with its BatchNorms, as it is trained and published; None where
            the family has none.
        frozen: Names of the tensors that the INR does not make; they stay those of the base.
        streams: Groups of axes of generated tensors that share one order of channels, but never
            change: the network keeps them, so only their coordinates can be put in order.
        has_trunk: Whether the network's `forward` knows the parts `trunk` and `tail`, the tail
            holding all that is not frozen.
    """

    name: str
    settings: Mapping[str, Any]
    input_spec: Mapping[str, Any]
    groups: tuple[CliqueGroup, ...]
    maker: Callable[[int], nn.Module]
    norm_maker: Callable[[int], nn.Module] | None = None
    frozen: frozenset[str] = frozenset()
    streams: tuple[CliqueGroup, ...] = ()
    has_trunk: bool = False

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
            The network, with its BatchNorms.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.unfolded(width)

    def unfolded(self, width: int) -> nn.Module:
        """Build a network with its BatchNorms and fresh weights.

        Args:
            width: Base width h, channels.

        Returns:
            The network as it is trained and published, in evaluation mode.

        Raises:
            UserError: If the width lies outside the family.
        """
        self.check_width(width)
        return (self.norm_maker or self.maker)(width).eval()

    def build(self, width: int) -> nn.Module:
        """Build a network with fresh weights.

        Args:
            width: Base width h, channels.

        Returns:
            The network with BatchNorm folded away, in evaluation mode.

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

    @cached_property
    def stream_ranks(self) -> dict[tuple[str, int], tuple[int, ...]]:
        """Places of the channels of streams in their smoothing orders.

        Returns:
            Rank of every channel by tensor name and axis; empty before the permute stage.

        Raises:
            UserError: If an order does not fit its stream.
        """
        orders = self.settings.get(STREAM_ORDERS, {})
        found: dict[tuple[str, int], tuple[int, ...]] = {}
        for group in self.streams:
            if group.name in orders:
                order, (name, axis) = orders[group.name], group.members[0]
                size = self.shapes(self.base_width)[name][axis]
                if sorted(order) != list(range(size)):
                    raise UserError(
                        f"{STREAM_ORDERS}: {group.name!r} must be an order of {size} channels"
                    )
                ranks = sorted(range(len(order)), key=order.__getitem__)
                found |= dict.fromkeys(group.members, tuple(ranks))
        return found

    def with_stream_orders(self, orders: Mapping[str, Sequence[int]]) -> "Family":
        """Make the same family with an order for its streams.

        Args:
            orders: By name of the group; channel `order[k]` takes place k.

        Returns:
            The family; itself where there are no streams.
        """
        if not orders:
            return self
        settings = {**self.settings, STREAM_ORDERS: {n: list(o) for n, o in orders.items()}}
        return replace(self, settings=settings)

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


def _make_cifar_resnet(settings: Mapping[str, Any], input_spec: Mapping[str, Any]) -> Family:
    channels, height, width = input_spec["image_shape"]
    if min(height, width) < 8:
        raise UserError(f"family cifar_resnet needs images of 8 x 8 or more: {height} x {width}")
    classes = len(input_spec["classes"])
    plan = BlockPlan(CIFAR_STAGES, (int(settings["depth"]) - 2) // 6, str(settings["scope"]))

    def build(base_width: int, norm: bool) -> nn.Module:
        hidden = plan.hidden(base_width)
        return CifarResNet(
            hidden, in_channels=channels, classes=classes, norm=norm, trunk_blocks=plan.first
        )

    return _resnet_family("cifar_resnet", settings, input_spec, plan, build)


def _make_resnet18(settings: Mapping[str, Any], input_spec: Mapping[str, Any]) -> Family:
    from neumeta.models.resnet18 import BLOCKS_PER_STAGE, STAGE_WIDTHS, ResNet18

    if input_spec["image_shape"][0] != 3:
        raise UserError("family resnet18 needs images of 3 channels")
    classes = len(input_spec["classes"])
    plan = BlockPlan(STAGE_WIDTHS, BLOCKS_PER_STAGE, str(settings["scope"]))

    def build(base_width: int, norm: bool) -> nn.Module:
        hidden = plan.hidden(base_width)
        return ResNet18(hidden, classes=classes, norm=norm, trunk_blocks=plan.first)

    return _resnet_family("resnet18", settings, input_spec, plan, build)


def _resnet_family(
    name: str,
    settings: Mapping[str, Any],
    input_spec: Mapping[str, Any],
    plan: BlockPlan,
    build: Callable[[int, bool], nn.Module],
) -> Family:
    with torch.device("meta"):
        tensors = [key for key, _ in build(plan.full_width, False).named_parameters()]
    generated = tuple(f"{block}.conv" for block in plan.morphing)
    return Family(
        name,
        settings,
        input_spec,
        plan.groups(),
        maker=lambda width: build(width, False),
        norm_maker=lambda width: build(width, True),
        frozen=frozenset(key for key in tensors if not key.startswith(generated)),
        streams=plan.streams(),
        has_trunk=plan.first > 0,
    )


_MAKERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Family]] = {
    "lenet": _make_lenet,
    "cifar_resnet": _make_cifar_resnet,
    "resnet18": _make_resnet18,
}
