"""Least squares from streamed second moments, the ridge chosen on images that were held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # shares of the mean variance
NO_GAIN = 1e-7  # share of the variance of y; the moments are sums of float32 products


@dataclass(frozen=True)
class Covariance:
    """Second moments of inputs x and outputs y of some samples, float64, one set for each group.

    Attributes:
        xx: Shape (groups, x, x).
        xy: Shape (groups, x, y).
        yy: Shape (groups, y).
        x_mean: Shape (groups, x); zeros if the moments are about zero.
        y_mean: Shape (groups, y); likewise.
    """

    xx: Float[Tensor, "groups x x"]
    xy: Float[Tensor, "groups x y"]
    yy: Float[Tensor, "groups y"]
    x_mean: Float[Tensor, "groups x"]
    y_mean: Float[Tensor, "groups y"]

    def error(self, weights: Float[Tensor, "groups x y"]) -> float:
        """Mean square error of y from x.

        Args:
            weights: What x is multiplied by.

        Returns:
            The sum over outputs.
        """
        explained = (weights * (2 * self.xy - self.xx @ weights)).sum()
        return float(self.yy.sum() - explained)


class Moments:
    """Sums over samples, from which second moments follow."""

    def __init__(self) -> None:
        """Begin with no samples."""
        self.count = 0
        self._sums: list[Tensor] = []

    def add(self, x: Float[Tensor, "s groups x"], y: Float[Tensor, "s groups y"]) -> None:
        """Add samples.

        Args:
            x: Inputs, on any device.
            y: Outputs; of width 0 where the inputs alone are meant.
        """
        self.count += len(x)
        wide, high = x.movedim(0, 1), y.movedim(0, 1)
        turned = wide.transpose(1, 2)
        new = (turned @ wide, turned @ high, high.square().sum(1), wide.sum(1), high.sum(1))
        found = [value.cpu().double() for value in new]
        if not self._sums:
            self._sums = found
        else:
            for total, value in zip(self._sums, found, strict=True):
                total += value

    def covariance(self, *, centred: bool) -> Covariance:
        """Moments of all samples so far.

        Args:
            centred: Whether about the mean; else about zero.

        Returns:
            The moments.
        """
        xx, xy, yy, x, y = (value / max(self.count, 1) for value in self._sums)
        if not centred:
            return Covariance(xx, xy, yy, torch.zeros_like(x), torch.zeros_like(y))
        xx = xx - x[:, :, None] * x[:, None, :]
        return Covariance(xx, xy - x[:, :, None] * y[:, None, :], yy - y.square(), x, y)

    @classmethod
    def pooled(cls, parts: Sequence["Moments"]) -> "Moments":
        """Join samples.

        Args:
            parts: Of the same widths.

        Returns:
            The sums of all.
        """
        made, full = cls(), [part for part in parts if part.count]
        made.count = sum(part.count for part in full)
        made._sums = [
            sum(values[1:], values[0]) for values in zip(*(p._sums for p in full), strict=True)
        ]
        return made


def best_ridge(
    fit: Covariance, check: Covariance, start: Float[Tensor, "groups x y"]
) -> float | None:
    """Choose how far weights may go from a start.

    Args:
        fit: Moments that the weights are fitted to.
        check: Moments of samples that were held out.
        start: Weights to stay near.

    Returns:
        The share of the mean variance that is added; None where the start itself is best.
    """
    best, least = None, check.error(start)
    least -= NO_GAIN * float(check.yy.sum())
    for ridge in RIDGES:
        error = check.error(solved(fit, start, ridge))
        if error < least:
            best, least = ridge, error
    return best


def solved(
    fit: Covariance, start: Float[Tensor, "groups x y"], ridge: float
) -> Float[Tensor, "groups x y"]:
    """Fit weights by ridge regression about a start.

    Args:
        fit: Moments.
        start: Weights to stay near.
        ridge: Share of the mean variance of x that is added.

    Returns:
        Weights, shape (groups, x, y).
    """
    eye = torch.eye(fit.xx.shape[1], dtype=fit.xx.dtype)
    level = fit.xx.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
    system = fit.xx + (ridge * level)[:, None, None] * eye
    factor, failed = torch.linalg.cholesky_ex(system)
    missing = fit.xy - fit.xx @ start
    if failed.any():  # rounding made it no longer definite
        return start + torch.linalg.lstsq(system, missing, driver="gelsd").solution
    return start + torch.cholesky_solve(missing, factor)
