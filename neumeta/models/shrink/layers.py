"""Layers that are linear in what they read, as matrices: convolutions and linear layers."""

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

Layer = nn.Linear | _ConvNd


def reading_axis(layer: nn.Module) -> int | None:
    """Which axis of a layer's weight stands for the channels that it reads.

    Args:
        layer: Any module.

    Returns:
        The axis; None for a layer of another kind, or one that mixes no channels, such as a
        depthwise convolution, which channels pass through.
    """
    if isinstance(layer, nn.Linear):
        return 1
    if isinstance(layer, _ConvNd) and layer.groups == 1:
        return 0 if layer.transposed else 1
    return None


def as_matrix(layer: Layer, weight: Tensor) -> Float[Tensor, "outputs inputs kernel"]:
    """View a weight as one matrix for each place of its kernel.

    Args:
        layer: Whose weight; one with a reading axis.
        weight: It, or another of the same kind.

    Returns:
        Shape (outputs, inputs, places of the kernel).
    """
    turned = weight.transpose(0, 1) if reading_axis(layer) == 0 else weight
    return turned.reshape(*turned.shape[:2], -1)


def from_matrix(layer: Layer, matrix: Tensor) -> Tensor:
    """Undo `as_matrix`.

    Args:
        layer: Whose weight; its kernel has the same form.
        matrix: Shape (outputs, inputs, places of the kernel).

    Returns:
        The weight.
    """
    shaped = matrix.reshape(*matrix.shape[:2], *layer.weight.shape[2:])
    return (shaped.transpose(0, 1) if reading_axis(layer) == 0 else shaped).contiguous()


def rows_read(
    layer: Layer, inputs: Tensor, most: int, generator: torch.Generator
) -> Float[Tensor, "rows channels"]:
    """Take what a layer reads as samples of its channels; pixels and tokens are samples, too.

    Args:
        layer: One with a reading axis.
        inputs: Of its forward.
        most: Places drawn at the most, per image where there are that many.
        generator: Draws the places.

    Returns:
        Shape (samples, channels).
    """
    if isinstance(layer, nn.Linear):
        flat = inputs.reshape(-1, inputs.shape[-1])
        chosen = _drawn(len(flat), most * len(inputs), generator)
        return flat[chosen.to(flat.device)]
    maps = _batched(layer, inputs).flatten(2)
    chosen = _drawn(maps.shape[2], most, generator)
    return maps[:, :, chosen.to(maps.device)].movedim(1, 2).flatten(0, 1)


@dataclass(frozen=True)
class Examples:
    """What a layer reads, and what it gives, at some of its places.

    Attributes:
        inputs: Shape (samples, groups of the layer, inputs of each times places of the kernel).
        outputs: Shape (samples, groups of the layer, outputs of each).
    """

    inputs: Tensor
    outputs: Tensor


def drawn_places(
    layer: Layer, outputs: Tensor, most: int, generator: torch.Generator
) -> Int[Tensor, " places"]:
    """Draw some of the places at which a layer gives outputs.

    Args:
        layer: Linear, or a convolution that is not transposed.
        outputs: Of its forward.
        most: Places at the most, per image where there are that many.
        generator: Draws them.

    Returns:
        Places: rows of all leading axes of a linear layer, pixels of a convolution.
    """
    if isinstance(layer, nn.Linear):
        rows = outputs.numel() // outputs.shape[-1]
        return _drawn(rows, most * len(outputs), generator)
    return _drawn(prod(_batched(layer, outputs).shape[2:]), most, generator)


def examples_at(layer: Layer, inputs: Tensor, outputs: Tensor, places: Tensor) -> Examples:
    """Take what a layer reads at some of its places, kernels unfolded.

    Args:
        layer: Linear, or a convolution that is not transposed.
        inputs: Of its forward.
        outputs: Of it, or of the layer that it stands for.
        places: As `drawn_places` gives them.

    Returns:
        The samples.
    """
    places = places.to(inputs.device)
    if isinstance(layer, nn.Linear):
        read = inputs.reshape(-1, inputs.shape[-1])[places]
        given = outputs.reshape(-1, outputs.shape[-1])[places]
        return Examples(read[:, None], given[:, None])
    maps, made = _batched(layer, inputs), _batched(layer, outputs)
    padded = _padded(layer, maps)
    index = _window(layer, padded.shape[2:], made.shape[2:], places)
    kernel = index.shape[1]
    # (images, channels, places, kernel) -> (images, places, channels, kernel)
    seen = padded.flatten(2)[:, :, index.flatten()].unflatten(2, (-1, kernel)).movedim(1, 2)
    given = made.flatten(2)[:, :, places].movedim(1, 2).flatten(0, 1)
    read = seen.flatten(0, 1).reshape(len(given), layer.groups, -1)
    return Examples(read, given.reshape(len(given), layer.groups, -1))


def grouped_matrix(layer: Layer, weight: Tensor) -> Float[Tensor, "groups reads gives"]:
    """View a weight as what `Examples.inputs` is multiplied by.

    Args:
        layer: Linear, or a convolution that is not transposed.
        weight: Its weight.

    Returns:
        Shape (groups, inputs of each times places of the kernel, outputs of each).
    """
    groups = layer.groups if isinstance(layer, _ConvNd) else 1
    return weight.reshape(groups, weight.shape[0] // groups, -1).transpose(1, 2)


def from_grouped(layer: Layer, matrix: Tensor) -> Tensor:
    """Undo `grouped_matrix`.

    Args:
        layer: Whose weight has the same shape.
        matrix: Shape (groups, inputs of each times places of the kernel, outputs of each).

    Returns:
        The weight.
    """
    return matrix.transpose(1, 2).reshape(layer.weight.shape).contiguous()


def _batched(layer: _ConvNd, maps: Tensor) -> Tensor:
    return maps if maps.ndim == len(layer.kernel_size) + 2 else maps.unsqueeze(0)


def _drawn(places: int, most: int, generator: torch.Generator) -> Tensor:
    if places <= most:
        return torch.arange(places)
    return torch.randperm(places, generator=generator)[:most].sort().values


def _padded(layer: _ConvNd, maps: Tensor) -> Tensor:
    around = layer._reversed_padding_repeated_twice
    if not any(around):
        return maps
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    return F.pad(maps, list(around), mode=mode)


def _window(
    layer: _ConvNd, padded: torch.Size, made: torch.Size, places: Tensor
) -> Int[Tensor, "places kernel"]:
    """Where the pixels that an output reads lie in the flattened padded map."""
    index = torch.zeros(len(places), 1, dtype=torch.long, device=places.device)
    left = places
    steps = [prod(made[axis + 1 :]) for axis in range(len(made))]
    for axis, size in enumerate(padded):
        at, left = left // steps[axis], left % steps[axis]
        taps = torch.arange(layer.kernel_size[axis], device=places.device) * layer.dilation[axis]
        own = at[:, None] * layer.stride[axis] + taps
        index = (index * size)[:, :, None] + own[:, None, :]
        index = index.flatten(1)
    return index
