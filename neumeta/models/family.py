"""Families: networks that differ only in where they stand on a few axes, such as width."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.axes import Axis, Point
from neumeta.models.layouts import Layout, layout_of
from neumeta.models.resampling import Origin, resampled
from neumeta.models.tensor_specs import Ranks, Shape, TensorSpec
from neumeta.tracing.groups import Group

STREAM_ORDERS = "stream_orders"


@dataclass(frozen=True)
class Family:
    """A recipe that builds the network of any point.

    Attributes:
        name: Key in the registry.
        settings: The `family` section of params.yaml, as a plain mapping.
        input_spec: What the network takes; see `Dataset.input_spec`.
        axes: What its networks differ in.
        maker: Builds the module of a point, with BatchNorm folded away; None before the trace.
        norm_maker: Builds it with its BatchNorms, as it is trained and published; None where
            the family has none.
        outline: Builds it without weights, its parameters being on the meta device; None where
            the maker does so, too, on that device.
        groups: Channels that share one order and change along the axes, at the base point.
        group_sizes: Units of each of them at a point, by its name; None before the trace.
        frozen: Names of the tensors that the INR does not make; they stay those of the base.
        streams: Groups of axes of generated tensors that share one order of channels, but never
            change: the network keeps them, so only their coordinates can be put in order.
        has_trunk: Whether the network's `forward` knows the parts `trunk` and `tail`, the tail
            holding all that is not frozen.
    """

    name: str
    settings: Mapping[str, Any]
    input_spec: Mapping[str, Any]
    axes: tuple[Axis, ...]
    maker: Callable[[Point], nn.Module] | None = None
    norm_maker: Callable[[Point], nn.Module] | None = None
    outline: Callable[[Point], nn.Module] | None = None
    groups: tuple[Group, ...] = ()
    group_sizes: Callable[[Point], Mapping[str, int]] | None = None
    frozen: frozenset[str] = frozenset()
    streams: tuple[Group, ...] = ()
    has_trunk: bool = False

    @cached_property
    def base(self) -> Point:
        """Where the base network stands.

        Returns:
            The point.
        """
        return Point.of({axis.name: axis.base for axis in self.axes})

    def at(self, **values: int) -> Point:
        """Name a network of the family.

        Args:
            **values: By name of the axis; on the others the network stands where the base does.

        Returns:
            The point.

        Raises:
            UserError: If there is no such axis, or a value lies outside its range.
        """
        point = self.base.moved(**values)
        self.check(point)
        return point

    def at_share(self, share: float) -> Point:
        """Name a network by its share of the width.

        Args:
            share: 1.0 is the base network, 0.5 has half the channels of every group that changes.

        Returns:
            The point, rounded to a whole number of the first axis.

        Raises:
            UserError: If the share is not above 0, or the width outside the family.
        """
        axis = self.axes[0]
        if not (math.isfinite(share) and share > 0):
            raise UserError(f"{axis.name} {share!r}: must be a share of the channels, above 0")
        return self.at(**{axis.name: round(share * axis.base)})

    def check(self, at: Point) -> None:
        """Refuse a point outside the family.

        Args:
            at: Which network.

        Raises:
            UserError: Naming the axes, or the allowed range.
        """
        values, names = at.values(), [axis.name for axis in self.axes]
        if values.keys() != set(names):
            raise UserError(f"{at}: the axes of the {self.name} family are {', '.join(names)}")
        for axis in self.axes:
            value = values[axis.name]
            if not hasattr(value, "__index__") or value is True or value is False:
                raise UserError(f"{axis.name} is {value!r}; must be a whole number")
            if not axis.low <= value <= axis.high:
                raise UserError(
                    f"{axis.name} {value} is outside the {self.name} family; "
                    f"use {axis.low}..{axis.high}"
                )

    def sizes(self, at: Point) -> Mapping[str, int]:
        """Count the channels of every group that changes.

        Args:
            at: Which network.

        Returns:
            Units by name of the group.
        """
        assert self.group_sizes is not None, "a family is complete once its base network is traced"
        return self.group_sizes(at)

    def build(self, at: Point, *, norm: bool = False) -> nn.Module:
        """Build a network with fresh weights.

        Args:
            at: Which network.
            norm: Whether with its BatchNorms, as it is trained and published, or folded away.

        Returns:
            The network, in evaluation mode.

        Raises:
            UserError: If the point lies outside the family.
        """
        self.check(at)
        maker = self.norm_maker if norm and self.norm_maker else self.maker
        assert maker is not None, "a family is complete once its base network is traced"
        return maker(at).eval()

    def initialised(self, at: Point, seed: int, *, norm: bool = True) -> nn.Module:
        """Build a network with fresh weights that depend on the seed only.

        torch's initialisers know no generator, so the global one is set and put back.

        Args:
            at: Which network.
            seed: Seed of the initial weights.
            norm: See `build`.

        Returns:
            The network, in evaluation mode.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.build(at, norm=norm)

    def skeleton(self, at: Point) -> nn.Module:
        """Build a network without weights, for `torch.func.functional_call`.

        Args:
            at: Which network.

        Returns:
            The network in evaluation mode, its parameters on the meta device.
        """
        if self.outline is not None:
            self.check(at)
            return self.outline(at).eval()
        with torch.device("meta"):
            return self.build(at)

    def shapes(self, at: Point) -> dict[str, Shape]:
        """Shapes of all parameters at a point, without allocating them.

        Args:
            at: Which network.

        Returns:
            Shape by parameter name, in the order of the network.
        """
        network = self.skeleton(at)
        return {name: tuple(value.shape) for name, value in network.named_parameters()}

    @cached_property
    def generated(self) -> tuple[str, ...]:
        """Names of the tensors that the INR makes, in the order of the network.

        Returns:
            All parameters but the frozen ones.
        """
        return tuple(name for name in self.shapes(self.base) if name not in self.frozen)

    @cached_property
    def morphing_axes(self) -> dict[str, tuple[int, ...]]:
        """Axes of each generated tensor whose length differs between points.

        Sizes grow along every axis of the family, so its two ends show what changes between them.

        Returns:
            Axes by tensor name, ascending; none for a tensor of fixed shape.
        """
        base = self.shapes(self.base)
        ends = [
            self.shapes(self.base.moved(**{axis.name: end}))
            for axis in self.axes
            for end in {axis.low, axis.high} - {axis.base}
        ]
        return {
            name: tuple(
                number
                for number, size in enumerate(base[name])
                if any(end[name][number] != size for end in ends if name in end)
            )
            for name in self.generated
        }

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
                order = orders[group.name]
                if sorted(order) != list(range(len(group))):
                    raise UserError(
                        f"{STREAM_ORDERS}: {group.name!r} must be an order of {len(group)} channels"
                    )
                ranks = sorted(range(len(order)), key=order.__getitem__)
                found |= dict.fromkeys(group.axes, tuple(ranks))
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

    def specs(self, at: Point) -> tuple[TensorSpec, ...]:
        """List the generated tensors of one point.

        Args:
            at: Which network.

        Returns:
            One spec per generated tensor.
        """
        shapes, morphing = self.shapes(at), self.morphing_axes
        layouts = self.layouts(at)
        ranks: dict[tuple[str, int], Ranks] = {
            **self.stream_ranks,
            **{axis: layout.ranks for axis, layout in layouts.items()},
        }
        owners = {axis: layout.owners for axis, layout in layouts.items()}
        return tuple(
            TensorSpec(
                name,
                index,
                shapes[name],
                morphing[name],
                (ranks.get((name, 0)), ranks.get((name, 1))),
                (owners.get((name, 0)), owners.get((name, 1))),
            )
            for index, name in enumerate(self.generated)
        )

    @cached_property
    def _laid_out(self) -> tuple[tuple[str, int], ...]:
        """Axes of generated tensors along which units are not one place each."""
        base, own = self.shapes(self.base), set(self.generated)
        sizes = {group.name: len(group) for group in self.groups}
        return tuple(
            (name, axis)
            for name, axis in dict.fromkeys(pair for group in self.groups for pair in group.axes)
            if name in own and layout_of(self.groups, sizes, name, axis, base[name][axis])
        )

    def layouts(self, at: Point) -> dict[tuple[str, int], Layout]:
        """Lay out the axes of generated tensors along which units are not one place each.

        Args:
            at: Which network.

        Returns:
            By tensor and axis; none where all units are one place and fill their axes.
        """
        if not self._laid_out:
            return {}
        base, sizes = self.shapes(self.base), self.sizes(at)
        found = {
            (name, axis): layout_of(self.groups, sizes, name, axis, base[name][axis])
            for name, axis in self._laid_out
        }
        return {pair: layout for pair, layout in found.items() if layout is not None}

    def resample(
        self, base: Mapping[str, Tensor], at: Point, origin: Origin = "edge"
    ) -> dict[str, Tensor]:
        """Resample the generated tensors of the (permuted) base network to another point.

        Args:
            base: Parameters by name at the base point.
            at: Which network.
            origin: See `neumeta.models.resampling.resample`.

        Returns:
            Generated tensors by name at that point.
        """
        shapes, layouts = self.shapes(at), self.layouts(at)
        made = {}
        for name in self.generated:
            laid = [axis for axis in self.morphing_axes[name] if (name, axis) in layouts]
            plain = [axis for axis in self.morphing_axes[name] if axis not in laid]
            made[name] = resampled(base[name], shapes[name], plain, origin)
            for axis in laid:
                made[name] = layouts[name, axis].resampled(made[name], axis, origin)
        return made

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


def width_axis(settings: Mapping[str, Any]) -> Axis:
    """The axis of families that differ in their base width h.

    Args:
        settings: The `family` section, with `min_width`, `max_width` and `base_width`.

    Returns:
        The axis.
    """
    low, high, base = (int(settings[f"{kind}_width"]) for kind in ("min", "max", "base"))
    return Axis("width", low, high, base, "channels")
