"""Layers fitted anew, one after the other, to what they gave in the network as it was.

A layer of the small network reads what the layers before it made, which is not quite what it was.
By least squares it learns to give from that what the same layer of the base gives on the same
images: W = E[y x^T] (E[x x^T] + ridge)^-1, over the pixels under its kernel. No label, no gradient.
"""

from collections.abc import Mapping, Sequence
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
    own, fitted = own_weights(base), list[str]()
    walks = Walk(base, batches, call, order), Walk(small, batches, call, order)
    for name in progress(order.layers(base), "layers fitted anew", "layer"):
        old, new = base.get_submodule(name), small.get_submodule(name)
        assert isinstance(old, Layer) and isinstance(new, Layer)
        if id(old) not in own or getattr(old, "transposed", False):
            continue
        if grouped_matrix(new, new.weight).shape[1] > MOST_READ:
            continue
        rows = indices.get((f"{name}.weight", 0))
        norm = order.norms.get(name)
        centred = takes_mean(base, name, norm)
        seen = _seen(walks, name, old, new, rows, generator)
        if seen is None:
            continue
        matrix, constant, changed = _solve(new, seen, centred)
        new.weight.data.copy_(from_grouped(new, matrix))
        if centred:
            put_mean(small, base, name, norm, indices, constant)
        if norm is not None and statistics:
            put_variance(small, base, norm, indices, _explained(seen, matrix))
        if changed:
            fitted.append(name)
    return tuple(fitted)


def _seen(
    walks: tuple[Walk, Walk],
    name: str,
    old: Layer,
    new: Layer,
    rows: Tensor | None,
    generator: torch.Generator,
) -> Seen | None:
    """What the new layer reads, with what the old one gives; None if there is nothing to fit."""
    seen = Seen()
    # without its bias: that is what weights alone can give
    bias = 0 if old.bias is None else old.bias.detach()
    for number, ((x, y), (x_new, _)) in enumerate(
        zip(walks[0].reach(name), walks[1].reach(name), strict=True)
    ):
        places = drawn_places(old, y, PLACES, generator)
        if number == 0:
            if rows is None and x.shape == x_new.shape and torch.equal(x, x_new):
                return None
            try:
                base = examples_at(old, x, y, places)
            except (RuntimeError, IndexError):  # a subclass that pads in a way of its own
                return None
            if not _is_linear(old, base.inputs, base.outputs):
                return None
        axis = y.ndim - 1 if isinstance(old, nn.Linear) else y.ndim - len(old.kernel_size) - 1
        shape = [-1 if a == axis else 1 for a in range(y.ndim)]
        y = y - bias.view(shape) if isinstance(bias, Tensor) else y
        wanted = y if rows is None else y.index_select(axis, rows.to(y.device))
        found = examples_at(new, x_new, wanted, places)
        seen.add(found.inputs.float(), found.outputs.float())
    return seen


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
