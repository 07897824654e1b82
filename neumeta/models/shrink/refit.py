"""Layers fitted anew, one after the other, to what they gave in the network as it was.

A layer of the small network reads what the layers before it made, which is not quite what it was.
By least squares it learns to give from that what the same layer of the base gives on the same
images: W = E[y x^T] (E[x x^T] + ridge)^-1, over the pixels under its kernel. No label, no gradient.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from neumeta.core.progress import progress
from neumeta.models.shrink.calls import Call, Order, Walk
from neumeta.models.shrink.layers import (
    Layer,
    drawn_places,
    examples_at,
    from_grouped,
    grouped_matrix,
)
from neumeta.models.shrink.least_squares import best_ridge, solved
from neumeta.models.shrink.merge import FEW, Axis, put_mean, put_variance, takes_mean
from neumeta.models.shrink.readers import Seen, own_weights

PLACES = 16  # per image
MOST_READ = 5000  # inputs times places of the kernel
CLOSE = 1e-3  # of the largest output
TINY = 1e-12
SMALLEST = 0.01  # share of a variance; a channel is not blown up beyond ten times what is left


def refit(
    small: nn.Module,
    base: nn.Module,
    order: Order,
    indices: Mapping[Axis, Tensor],
    batches: Sequence[Any],
    call: Call,
    generator: torch.Generator,
    *,
    statistics: bool = True,
) -> tuple[str, ...]:
    """Fit the layers of a small network to those of the base.

    What a fit cannot explain it leaves out, so outputs vary less than they did, layer by layer. The
    BatchNorm that follows can make up for that as for the mean: it divides by the new variance.

    Args:
        small: Changed in place.
        base: What it was made of; not changed.
        order: Of the calls of both.
        indices: For every axis that changed, the old place of every new one.
        batches: What both are called with.
        call: How.
        generator: Draws places of images.
        statistics: Whether BatchNorms follow the variance of what fitted layers give.

    Returns:
        Names of the layers that were fitted.
    """
    spans, fitted = order.spans, list[str]()
    owners = {tensor.rpartition(".")[0] for tensor, _ in indices}
    first = min((spans[owner].start for owner in owners if owner in spans), default=0)
    names = [name for name in order.layers(base) if spans[name].start >= first]
    targets = _targets(base, [n for n in names if _fits(base, n)], batches, call, generator)
    walk = Walk(small, batches, call, order)
    for name in progress(list(targets), "layers fitted anew", "layer"):
        new = small.get_submodule(name)
        assert isinstance(new, Layer)
        norm = order.norms.get(name)
        centred = takes_mean(base, name, norm)
        rows = indices.get((f"{name}.weight", 0))
        seen = Seen()
        for target, (x, y) in zip(targets.pop(name), walk.reach(name), strict=True):
            read = examples_at(new, x, y, target.places).inputs
            wanted = target.outputs if rows is None else target.outputs[:, rows.to(y.device)]
            seen.add(read.float(), wanted.unflatten(1, (read.shape[1], -1)).float())
        matrix, constant, changed = _solve(new, seen, centred)
        new.weight.data.copy_(from_grouped(new, matrix))
        if centred:
            put_mean(small, base, name, norm, indices, constant)
        if norm is not None and statistics:
            put_variance(small, base, norm, indices, _explained(seen, matrix))
        if changed:
            fitted.append(name)
    return tuple(fitted)


@dataclass(frozen=True)
class _Target:
    """What a layer of the base gives for one batch, its bias aside."""

    places: Tensor
    outputs: Tensor  # shape (samples, outputs)


def _fits(base: nn.Module, name: str) -> bool:
    layer = base.get_submodule(name)
    assert isinstance(layer, Layer)
    if id(layer) not in own_weights(base) or getattr(layer, "transposed", False):
        return False
    return grouped_matrix(layer, layer.weight).shape[1] <= MOST_READ


@torch.no_grad()
def _targets(
    base: nn.Module,
    names: Sequence[str],
    batches: Sequence[Any],
    call: Call,
    generator: torch.Generator,
) -> dict[str, list[_Target]]:
    """Run the base once; layers that do not do what their class says are left out."""
    found: dict[str, list[_Target]] = {name: [] for name in names}

    def look(name: str, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        assert isinstance(layer, Layer)
        if name not in found:
            return
        places = drawn_places(layer, output, PLACES, generator)
        try:
            made = examples_at(layer, args[0], output, places)
        except (RuntimeError, IndexError):  # a subclass that pads in a way of its own
            del found[name]
            return
        if not found[name] and not _is_linear(layer, made.inputs, made.outputs):
            del found[name]
            return
        outputs = made.outputs.flatten(1)
        if layer.bias is not None:
            outputs = outputs - layer.bias
        found[name].append(_Target(places, outputs))

    with ExitStack() as stack:
        for name in names:
            handle = base.get_submodule(name).register_forward_hook(partial(look, name))
            stack.callback(handle.remove)
        for batch in batches:
            call(base, batch)
    return found


def _is_linear(layer: Layer, inputs: Tensor, outputs: Tensor) -> bool:
    """Whether a layer does what its class says; subclasses may standardise weights, or pad."""
    made = torch.einsum("sgx,gxy->sgy", inputs, grouped_matrix(layer, layer.weight))
    if layer.bias is not None:
        made = made + layer.bias.reshape(made.shape[1:])
    return bool((made - outputs).abs().max() <= CLOSE * outputs.abs().max())


def _explained(seen: Seen, matrix: Tensor) -> Tensor:
    """Variance of what a layer gives as a share of what it gave in the base, by output."""
    both = seen.all(centred=True)
    variance = (matrix * (both.xx @ matrix)).sum(1)
    return (variance / both.yy.clamp(min=TINY)).flatten().clamp(SMALLEST, 1)


def _solve(layer: Layer, seen: Seen, centred: bool) -> tuple[Tensor, Tensor, bool]:
    """New weights, the constant that goes with them, and whether they are new at all."""
    start = grouped_matrix(layer, layer.weight.detach()).cpu().double()
    both = seen.all(centred=centred)
    ridge: float | None = FEW
    if seen.check.count:
        fit, check = (moments.covariance(centred=centred) for moments in seen.parts)
        ridge = best_ridge(fit, check, start)
    new = start if ridge is None else solved(both, start, ridge)
    lost = both.y_mean - torch.einsum("gx,gxy->gy", both.x_mean, new)
    return new, lost.flatten(), ridge is not None
