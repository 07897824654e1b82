"""What networks of each width cost: parameters, multiply-accumulates, and time on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from neumeta.core.tables import Column
from neumeta.measure.budgets import Budget
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.models.axes import Point

COST_COLUMNS = {"width": Column("whole"), "params": Column("whole"), "macs": Column("whole")}


@dataclass(frozen=True)
class Costs:
    """What one network costs.

    Attributes:
        width: Base width h.
        params: Parameters.
        macs: Multiply-accumulates of one input.
        latency: Of one input, seconds, median.
    """

    width: int
    params: int
    macs: int
    latency: float

    def row(self) -> dict[str, int]:
        """What is the same on every machine.

        Returns:
            By column of `COST_COLUMNS`.
        """
        return {name: getattr(self, name) for name in COST_COLUMNS}


def costs_of(morph: MorphableNetwork, points: Sequence[Point]) -> list[Costs]:
    """Count and measure.

    Args:
        morph: Gives the networks; times are those of the device where it lies.
        points: Which.

    Returns:
        One each.
    """
    exact = replace(morph, draws=1)
    params, macs, latency = (Budget(kind, 1.0) for kind in ("params", "macs", "latency"))
    return [
        Costs(
            at["width"],
            int(params.cost(exact, at)),
            int(macs.cost(exact, at)),
            latency.cost(exact, at),
        )
        for at in points
    ]
