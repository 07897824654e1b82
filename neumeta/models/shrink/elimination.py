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
_ONE_BY_ONE = 256  # units; of more than twice that, several are dropped at once
_EMPTY = 0.2  # share of dropped units in the matrices before they are made smaller


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
    left = torch.arange(len(readings[0].places))
    dropped: list[int] = []
    states = [_State.of(reading) for reading in readings]
    gone = torch.zeros(len(left), dtype=torch.bool)
    while (count := len(left) - int(gone.sum())) > keep:
        losses = torch.stack([state.losses() for state in states]).sum(0)
        losses[gone] = torch.inf
        at_once = min(max(1, count // _ONE_BY_ONE), count - keep)
        worst = losses.argsort(stable=True)[:at_once]
        for state in states:
            state.drop(worst)
        gone[worst] = True
        dropped += left[worst].tolist()
        if gone.sum() > _EMPTY * len(left):
            stay = (~gone).nonzero().flatten()
            for state in states:
                state.compact(stay)
            left, gone = left[stay], gone[stay]
    return dropped


@dataclass
class _State:
    inverse: Tensor  # P; rows and columns of dropped units are zero
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
        found, _ = torch.linalg.solve_ex(inverse, errors)  # singular where units are gone
        return found.diagonal(dim1=1, dim2=2).sum(1)

    def drop(self, units: Tensor) -> None:
        gone = self._places(units)
        share = torch.linalg.solve(self.inverse[gone][:, gone], self.inverse[gone])
        rows = self.errors[gone] - self.errors[gone][:, gone] @ share / 2
        self.inverse.addmm_(self.inverse[gone].T, share, alpha=-1)
        self.errors.addmm_(torch.cat([share, rows]).T, torch.cat([rows, share]), alpha=-1)
        for matrix in (self.inverse, self.errors):
            matrix[gone], matrix[:, gone] = 0.0, 0.0

    def compact(self, stay: Tensor) -> None:
        index = self._places(stay)
        self.inverse = self.inverse[index][:, index]
        self.errors = self.errors[index][:, index]

    def _places(self, units: Tensor) -> Tensor:
        return (units[:, None] * self.parts + torch.arange(self.parts)).flatten()


def _blocks(matrix: Tensor, parts: int) -> Tensor:
    """Blocks on the diagonal, shape (units, parts, parts)."""
    units = len(matrix) // parts
    return matrix.reshape(units, parts, units, parts).diagonal(dim1=0, dim2=2).movedim(2, 0)
