"""Units that go are merged into those that stay, as their readers can best do without them."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neumeta.models.shrink.elimination import Reading
from neumeta.models.shrink.layers import Layer, from_matrix
from neumeta.models.shrink.least_squares import Covariance, best_ridge, solved
from neumeta.models.shrink.readers import Reader, Seen

Axis = tuple[str, int]
FEW = 1e-4  # the ridge where there are too few samples to hold some out


def reading_of(reader: Reader, seen: Seen, group: str, *, centred: bool) -> Reading:
    """Say how a layer reads the units of a group.

    Args:
        reader: The layer.
        seen: What it read.
        group: Name of the group.
        centred: Whether a lost mean can be made up for.

    Returns:
        What the elimination works with.
    """
    matrix = reader.matrix()
    if seen.unfolded.count:  # a column for each pixel under the kernel: a channel has several
        parts = torch.arange(matrix.shape[2])
        units = (reader.units(group)[:, :, None] * len(parts) + parts).flatten(1)
        matrix = matrix.flatten(1)[:, :, None]
        moment = seen.unfolded.covariance(centred=centred).xx[0]
    else:
        units, moment = reader.units(group), seen.all(centred=centred).xx[0]
    weighed = matrix * reader.weighing[:, None, None]
    return Reading(moment, torch.einsum("onk,omk->nm", weighed, matrix), units)


def merge(
    small: nn.Module,
    base: nn.Module,
    reader: Reader,
    seen: Seen,
    indices: Mapping[Axis, Tensor],
    norm: str | None,
) -> None:
    """Let a layer rebuild what it no longer reads from what it still does.

    Args:
        small: Whose layer it is; changed in place.
        base: The network that it was made of.
        reader: The layer, of the base.
        seen: What it read there.
        indices: For every axis that changed, the old place of every new one.
        norm: The BatchNorm that follows it.
    """
    layer = small.get_submodule(reader.name)
    assert isinstance(layer, Layer)
    index = indices[reader.tensor, reader.axis]
    kept = reader.kept(index)
    centred = takes_mean(base, reader.name, norm)
    both = _rebuilding(seen.all(centred=centred), kept)
    start = torch.zeros_like(both.xy)
    start[0, torch.arange(len(kept)), kept] = 1
    ridge: float | None = FEW
    if seen.check.count:
        fit, check = (_rebuilding(m.covariance(centred=centred), kept) for m in seen.parts)
        ridge = best_ridge(fit, check, start)
    rebuild = start if ridge is None else solved(both, start, ridge)
    rows = indices.get((reader.tensor, 1 - reader.axis))
    matrix = reader.matrix() if rows is None else reader.matrix()[rows]
    new = reader.laid_out(torch.einsum("onk,mn->omk", matrix, rebuild[0]), index)
    layer.weight.data.copy_(from_matrix(layer, new))
    lost = both.y_mean[0] - both.x_mean[0] @ rebuild[0]
    if centred:
        put_mean(small, base, reader.name, norm, indices, matrix.sum(2) @ lost)


def _rebuilding(seen: Covariance, kept: Tensor) -> Covariance:
    """Moments for the prediction of all channels from some."""
    rows = seen.xx[:, kept]
    all_of, means = seen.xx.diagonal(dim1=1, dim2=2), seen.x_mean
    return Covariance(rows[:, :, kept], rows, all_of, means[:, kept], means)


def takes_mean(network: nn.Module, name: str, norm: str | None) -> bool:
    """Whether a constant can be added to what a layer gives.

    Args:
        network: Its network.
        name: Of the layer.
        norm: Name of the BatchNorm that follows it.

    Returns:
        Whether it has a bias, or a BatchNorm with a running mean follows.
    """
    return _has(network, name, "bias") or (norm is not None and _has(network, norm, "running_mean"))


def put_mean(
    small: nn.Module,
    base: nn.Module,
    name: str,
    norm: str | None,
    indices: Mapping[Axis, Tensor],
    constant: Float[Tensor, " outputs"],
) -> None:
    """Let a layer give a constant more than with the bias of the base, where that can be.

    Args:
        small: Whose layer it is; changed in place: its bias, or what the BatchNorm subtracts.
        base: The network that it was made of.
        name: Of the layer.
        norm: Name of the BatchNorm that follows it.
        indices: For every axis that changed, the old place of every new one.
        constant: By output.
    """
    of, what, sign = (name, "bias", 1) if _has(base, name, "bias") else (norm, "running_mean", -1)
    if of is None or not _has(base, of, what):
        return
    old, new = (getattr(network.get_submodule(of), what).data for network in (base, small))
    rows = indices.get((f"{of}.{what}", 0))
    new.copy_((old if rows is None else old[rows.to(old.device)]) + sign * constant.to(new))


def put_variance(
    small: nn.Module,
    base: nn.Module,
    norm: str,
    indices: Mapping[Axis, Tensor],
    share: Float[Tensor, " outputs"],
) -> None:
    """Let a BatchNorm divide by another variance than in the base, where it keeps one.

    Args:
        small: Whose BatchNorm it is; changed in place.
        base: The network that it was made of.
        norm: Its name.
        indices: For every axis that changed, the old place of every new one.
        share: New variance as a share of the old one, by channel.
    """
    if not _has(base, norm, "running_var"):
        return
    old, new = (network.get_buffer(f"{norm}.running_var") for network in (base, small))
    rows = indices.get((f"{norm}.running_var", 0))
    new.copy_((old if rows is None else old[rows.to(old.device)]) * share.to(new))


def _has(network: nn.Module, name: str, what: str) -> bool:
    return getattr(network.get_submodule(name), what, None) is not None


def lost_share(readings: Sequence[Reading], kept: Sequence[int]) -> float:
    """Tell what cannot be rebuilt of the units of a group.

    Args:
        readings: By all layers that read them.
        kept: Units that stay.

    Returns:
        Share of the variance that their outputs owe to these units, 0 to 1.
    """
    lost, whole = 0.0, 0.0
    for reading in readings:
        every = reading.places.flatten()
        index = reading.places[torch.tensor(kept)].flatten()
        moment = reading.moment.double()
        level = moment.diagonal().mean().clamp(min=1e-12)
        system = moment[index][:, index] + 1e-6 * level * torch.eye(len(index)).double()
        across = moment[index][:, every]
        rest = moment[every][:, every] - across.T @ torch.linalg.solve(system, across)
        weighing = reading.weighing[every][:, every]
        lost += float((weighing * rest).sum())
        whole += float((weighing * moment[every][:, every]).sum())
    return min(max(lost / whole, 0.0), 1.0) if whole > 0 else 0.0
