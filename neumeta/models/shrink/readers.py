"""Layers that read the units of groups, and second moments of what they read."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from neumeta.core.progress import progress
from neumeta.models.shrink.calls import Call
from neumeta.models.shrink.layers import (
    Layer,
    as_matrix,
    drawn_places,
    examples_at,
    reading_axis,
    rows_read,
)
from neumeta.models.shrink.least_squares import Covariance, Moments
from neumeta.tracing.groups import Group

PLACES = 64  # per image, of what a layer reads
UNFOLDED_PLACES = 8  # likewise, each with all pixels under the kernel
HELD_OUT = 5  # one image in so many
MOST_CHANNELS = 4096  # of one matrix
MOST_UNFOLDED = 2400  # channels times places of the kernel


@dataclass(frozen=True)
class Reader:
    """A layer that reads units of groups along one axis of its weight.

    Attributes:
        name: Of the layer.
        layer: It, of the base.
        axis: Of its weight.
        places: By name of the group, places of its units on that axis, shape (units, parts).
        shared: Whether the parts of a unit, such as the pixels of a channel after a flattening,
            are taken for samples of one channel: there are too many to be told apart.
        weighing: How much an error in each output counts, shape (outputs,).
    """

    name: str
    layer: Layer
    axis: int
    places: Mapping[str, Int[Tensor, "units parts"]]
    shared: bool
    weighing: Tensor

    @property
    def tensor(self) -> str:
        """Name of its weight.

        Returns:
            The name.
        """
        return f"{self.name}.weight"

    def matrix(self) -> Tensor:
        """The weight as one matrix for each place of its kernel, in float64.

        Returns:
            Shape (outputs, channels, kernel); with shared parts (outputs, units, parts).
        """
        found = as_matrix(self.layer, self.layer.weight.detach()).cpu().double()
        return found[:, self._only(), 0] if self.shared else found

    def rows(self, rows: Tensor) -> Tensor:
        """Samples of what the columns of `matrix` stand for.

        Args:
            rows: What is read, shape (samples, channels).

        Returns:
            Shape (samples, columns).
        """
        if not self.shared:
            return rows
        return rows[:, self._only().to(rows.device)].movedim(1, 2).flatten(0, 1)

    @property
    def unfolds(self) -> bool:
        """Whether the pixels under its kernel are told apart in the order of channels.

        Returns:
            Whether it is a convolution with a kernel of several places, not too many.
        """
        weight = self.layer.weight
        plain = type(self.layer) in (nn.Conv1d, nn.Conv2d, nn.Conv3d)  # others pad as they like
        return plain and weight[0, 0].numel() > 1 and weight[0].numel() <= MOST_UNFOLDED

    def units(self, group: str) -> Tensor:
        """Columns of `matrix` that are units of a group.

        Args:
            group: Its name.

        Returns:
            Shape (units, columns of each).
        """
        own = self.places[group]
        return torch.arange(len(own))[:, None] if self.shared else own

    def kept(self, index: Tensor) -> Tensor:
        """Which columns of `matrix` stay.

        Args:
            index: For every new place on the axis, the old one.

        Returns:
            The old columns, in their new order.
        """
        if not self.shared:
            return index
        unit_of = torch.empty(self.layer.weight.shape[self.axis], dtype=torch.long)
        unit_of[self._only()] = torch.arange(len(self._only()))[:, None]
        return torch.tensor(list(dict.fromkeys(unit_of[index].tolist())))

    def laid_out(self, matrix: Tensor, index: Tensor) -> Tensor:
        """Lay new columns out as the layer wants them.

        Args:
            matrix: Like `matrix`, with the columns of `kept`.
            index: For every new place on the axis, the old one.

        Returns:
            Shape (outputs, new places, kernel).
        """
        if not self.shared:
            return matrix
        size = self.layer.weight.shape[self.axis]
        column, part = torch.empty(size, dtype=torch.long), torch.empty(size, dtype=torch.long)
        kept = {int(unit): place for place, unit in enumerate(self.kept(index))}
        for unit, places in enumerate(self._only()):
            column[places], part[places] = kept.get(unit, 0), torch.arange(len(places))
        return matrix[:, column[index], part[index], None]

    def _only(self) -> Tensor:
        (places,) = self.places.values()
        return places


@dataclass
class Seen:
    """Second moments of what a reader read.

    Attributes:
        fit: Of four images in five.
        check: Of the rest.
        unfolded: Of the pixels under the kernel, of all images, where the reader unfolds.
    """

    fit: Moments = field(default_factory=Moments)
    check: Moments = field(default_factory=Moments)
    unfolded: Moments = field(default_factory=Moments)

    @property
    def parts(self) -> tuple[Moments, Moments]:
        """Both.

        Returns:
            `fit` and `check`.
        """
        return self.fit, self.check

    def add(self, rows: Tensor, outputs: Tensor) -> None:
        """Add samples in the order of their images.

        Args:
            rows: Inputs, shape (samples, groups, x).
            outputs: Shape (samples, groups, y).
        """
        first = len(rows) - len(rows) // HELD_OUT
        self.fit.add(rows[:first], outputs[:first])
        if first < len(rows):
            self.check.add(rows[first:], outputs[first:])

    def all(self, *, centred: bool) -> Covariance:
        """Moments of all samples.

        Args:
            centred: Whether about the mean.

        Returns:
            The moments.
        """
        return Moments.pooled(self.parts).covariance(centred=centred)


def find_readers(
    network: nn.Module, groups: Sequence[Group], norms: Mapping[str, str]
) -> tuple[Reader, ...]:
    """Find the layers that read units of groups.

    Args:
        network: Whose groups they are.
        groups: They share no places.
        norms: By name of a layer, the BatchNorm that follows it.

    Returns:
        Convolutions and linear layers that have a weight of their own.
    """
    names = {id(module): name for name, module in network.named_modules()}
    own = own_weights(network)
    places: dict[str, dict[str, Tensor]] = {}
    levels = {group.name: group.level for group in groups}
    for group in groups:
        for member in group.members:
            owner, _, kind = member.tensor.rpartition(".")
            module = network.get_submodule(owner)
            if kind == "weight" and reading_axis(module) == member.axis and id(module) in own:
                at = places.setdefault(names[id(module)], {})
                at[group.name] = torch.tensor(member.places)
    found: list[Reader] = []
    for name, of_groups in places.items():
        layer = network.get_submodule(name)
        axis = reading_axis(layer)
        assert isinstance(layer, Layer) and axis is not None
        size = layer.weight.shape[axis]
        whole = [g for g, p in of_groups.items() if p.numel() == size and levels[g] == "channel"]
        shared = size > MOST_CHANNELS and bool(whole) and isinstance(layer, nn.Linear)
        if size <= MOST_CHANNELS or shared:
            weighing = _weighing(network, layer, norms.get(name))
            found.append(Reader(name, layer, axis, of_groups, shared, weighing))
    return tuple(found)


def own_weights(network: nn.Module) -> frozenset[int]:
    """Tell which modules have a plain weight that no other module has.

    Args:
        network: Any.

    Returns:
        Ids of modules.
    """
    owners: dict[int, list[int]] = {}
    for module in network.modules():
        for value in module._parameters.values():
            if value is not None:
                owners.setdefault(id(value), []).append(id(module))
    return frozenset(
        id(module)
        for module in network.modules()
        if (weight := module._parameters.get("weight")) is not None
        and len(set(owners[id(weight)])) == 1
    )


def _weighing(network: nn.Module, layer: Layer, norm: str | None) -> Tensor:
    outputs = len(as_matrix(layer, layer.weight))
    if norm is None:
        return torch.ones(outputs, dtype=torch.float64)
    module: Any = network.get_submodule(norm)
    if module.running_var is None:
        return torch.ones(outputs, dtype=torch.float64)
    scale = 1 / (module.running_var + module.eps)
    if module.weight is not None:
        scale = scale * module.weight.detach().square()
    return scale.detach().cpu().double()


@torch.no_grad()
def moments_of(
    network: nn.Module,
    readers: Sequence[Reader],
    batches: Sequence[Any],
    call: Call,
    generator: torch.Generator,
) -> dict[str, Seen]:
    """Run a network and sum up what its readers read.

    Args:
        network: Not changed.
        readers: Of it.
        batches: What it is called with.
        call: How.
        generator: Draws places of images.

    Returns:
        Moments by name of the reader, of those that were called.
    """
    seen: dict[str, Seen] = {}

    def look(reader: Reader, module: nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], Tensor):
            rows = reader.rows(rows_read(reader.layer, args[0], PLACES, generator))[:, None]
            seen.setdefault(reader.name, Seen()).add(rows.float(), rows[:, :, :0].float())

    def unfold(reader: Reader, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        places = drawn_places(reader.layer, output, UNFOLDED_PLACES, generator)
        read = examples_at(reader.layer, args[0], output, places).inputs.float()
        seen[reader.name].unfolded.add(read, read[:, :, :0])

    with ExitStack() as stack:
        for reader in readers:
            handle = reader.layer.register_forward_pre_hook(partial(look, reader))
            stack.callback(handle.remove)
            if reader.unfolds:
                handle = reader.layer.register_forward_hook(partial(unfold, reader))
                stack.callback(handle.remove)
        for batch in progress(batches, "what layers read", "batch"):
            call(network, batch)
    return seen
