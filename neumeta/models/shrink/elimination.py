"""Which channels to keep: those from which the layers that read them can rebuild the rest.

Channels are dropped one after the other, always the one that adds least to tr(G R): R is what the
second moment C of the channels keeps when the dropped ones are predicted from the kept ones, and G
weighs errors as the reading layer does. With P the inverse of C among the kept, and Q = A^T G A for
the coefficients A of that prediction, dropping channel i adds Q_ii / P_ii, and both matrices
follow by an update of rank one: O(n^2) a channel. A unit of several places is dropped as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

RIDGE = 1e-6  # share of the mean variance
_ONE_BY_ONE = 512  # units; of more than that, several are dropped at once


@dataclass(frozen=True)
class Reading:
    """How one layer reads some units.

    Attributes:
        moment: C, second moment of what it reads, shape (channels, channels).
        weighing: G, sum of w w^T over its outputs, of the same shape.
        places: Channels of every unit, shape (units, places of each).
    """

    moment: Float[Tensor, "n n"]
    weighing: Float[Tensor, "n n"]
    places: Int[Tensor, "units parts"]


def eliminated(readings: Sequence[Reading], keep: int) -> list[int]:
    """Drop units until so many are left.

    Args:
        readings: By all layers that read these units; what they lose is added up.
        keep: Units that stay.

    Returns:
        Units in the order in which they were dropped.
    """
    left = list(range(len(readings[0].places)))
    dropped: list[int] = []
    states = [_State.of(reading) for reading in readings]
    while len(left) > keep:
        losses = torch.stack([state.losses() for state in states]).sum(0)
        at_once = min(max(1, len(left) // _ONE_BY_ONE), len(left) - keep)
        worst = losses.argsort(stable=True)[:at_once].sort().values
        for state in states:
            state.drop(worst)
        gone = {int(unit) for unit in worst}
        dropped += [left[unit] for unit in sorted(gone)]
        left = [unit for place, unit in enumerate(left) if place not in gone]
    return dropped


@dataclass
class _State:
    inverse: Tensor  # P, among the kept
    errors: Tensor  # Q
    parts: int

    @classmethod
    def of(cls, reading: Reading) -> "_State":
        index = reading.places.flatten()
        moment = reading.moment.double()[index][:, index]
        level = moment.diagonal().mean().clamp(min=1e-12)
        ridge = RIDGE * level * torch.eye(len(index), dtype=torch.float64)
        inverse = torch.linalg.inv(moment + ridge)
        errors = reading.weighing.double()[index][:, index].clone()
        return cls(inverse, errors, reading.places.shape[1])

    def losses(self) -> Tensor:
        if self.parts == 1:
            return self.errors.diagonal() / self.inverse.diagonal()
        inverse, errors = (_blocks(value, self.parts) for value in (self.inverse, self.errors))
        found = torch.linalg.solve(inverse, errors)
        return found.diagonal(dim1=1, dim2=2).sum(1)

    def drop(self, units: Tensor) -> None:
        gone = (units[:, None] * self.parts + torch.arange(self.parts)).flatten()
        stay = torch.ones(len(self.inverse), dtype=torch.bool)
        stay[gone] = False
        across = self.inverse[gone][:, stay]
        share = torch.linalg.solve(self.inverse[gone][:, gone], across)
        both = share.T @ self.errors[gone][:, stay]
        own = share.T @ self.errors[gone][:, gone] @ share
        self.inverse = self.inverse[stay][:, stay] - across.T @ share
        self.errors = self.errors[stay][:, stay] - both - both.T + own


def _blocks(matrix: Tensor, parts: int) -> Tensor:
    """Blocks on the diagonal, shape (units, parts, parts)."""
    units = len(matrix) // parts
    return matrix.reshape(units, parts, units, parts).diagonal(dim1=0, dim2=2).movedim(2, 0)
