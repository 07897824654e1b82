"""The widest network that a budget of parameters, multiply-accumulates or time allows."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

from neumeta.core.errors import UserError
from neumeta.measure.latency import latency
from neumeta.models.axes import Point
from neumeta.models.cost import count_macs, count_params
from neumeta.models.family import Family
from neumeta.models.parameters import load_parameters
from neumeta.models.source import WeightSource

Kind = Literal["params", "macs", "latency"]
BUDGETS: tuple[Kind, ...] = ("params", "macs", "latency")
_UNITS: dict[Kind, dict[str, float]] = {
    "params": {"": 1, "k": 1e3, "M": 1e6, "G": 1e9},
    "macs": {"": 1, "k": 1e3, "M": 1e6, "G": 1e9},
    "latency": {"s": 1, "ms": 1e-3, "us": 1e-6},
}
_EXAMPLES: dict[Kind, str] = {"params": "150k", "macs": "20M", "latency": "5ms"}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)")


@dataclass(frozen=True)
class Budget:
    """What a network may cost.

    Attributes:
        kind: What is counted.
        most: Parameters, multiply-accumulates of one input, or seconds for one input.
    """

    kind: Kind
    most: float

    @classmethod
    def of(cls, kind: Kind, text: str | float) -> "Budget":
        """Read a budget.

        Args:
            kind: What is counted.
            text: A number and a unit, such as 150k, 20M or 5ms; or a number, of seconds for times.

        Returns:
            The budget.

        Raises:
            UserError: If it is no such text, or not above 0.
        """
        if isinstance(text, int | float) and not isinstance(text, bool):
            text = f"{text:f}{'s' if kind == 'latency' else ''}"
        units, match = _UNITS[kind], _AMOUNT.fullmatch(str(text).strip())
        if match is None or match[2] not in units or not float(match[1]) > 0:
            allowed = ", ".join(unit or "none" for unit in units)
            raise UserError(
                f"--{kind} is {text!r}; must be a number above 0 and a unit ({allowed}), such as "
                f"{_EXAMPLES[kind]}"
            )
        return cls(kind, float(match[1]) * units[match[2]])

    def cost(self, source: WeightSource, at: Point) -> float:
        """Count or measure what a network costs.

        Args:
            source: Gives it.
            at: Which.

        Returns:
            Of the kind of the budget.
        """
        family: Family = source.family
        if self.kind == "params":
            return float(count_params(family.skeleton(at)))
        if self.kind == "macs":
            return float(count_macs(family.skeleton(at), family.example_input().to("meta")))
        return _measured(source, at)

    def text(self, cost: float) -> str:
        """Word a cost.

        Args:
            cost: Of this kind.

        Returns:
            With its unit.
        """
        if self.kind == "latency":
            return f"{cost * 1e3:.3g} ms"
        return f"{cost:,.0f} {'parameters' if self.kind == 'params' else 'MACs'}"


@dataclass(frozen=True)
class Fit:
    """A network that a budget allows.

    Attributes:
        at: Which.
        cost: What it costs, in the unit of the budget.
    """

    at: Point
    cost: float


def widest(source: WeightSource, budget: Budget, axis: str = "width") -> Fit:
    """Find the largest network of a source within a budget.

    Costs grow with the width, so it is found by halves. Latencies are measured, with the scatter of
    this machine: widths beside each other may cost the same.

    Args:
        source: Gives the networks.
        budget: What they may cost.
        axis: Along which they differ; on all others they stand where the base does.

    Returns:
        The network, and what it costs.

    Raises:
        UserError: If the smallest network costs more.
    """
    family = source.family
    (found,) = (one for one in family.axes if one.name == axis)
    cost = partial(budget.cost, source)
    low, high = found.low, found.high
    smallest = Fit(family.at(**{axis: low}), cost(family.at(**{axis: low})))
    if smallest.cost > budget.most:
        raise UserError(
            f"the smallest network, {axis} {low}, costs {budget.text(smallest.cost)}; the budget "
            f"is {budget.text(budget.most)}"
        )
    best = smallest
    while low < high:
        middle = (low + high + 1) // 2
        at = family.at(**{axis: middle})
        if (spent := cost(at)) <= budget.most:
            low, best = middle, Fit(at, spent)
        else:
            high = middle - 1
    return best


def _measured(source: WeightSource, at: Point) -> float:
    weights = source.weights(at, generator=torch.Generator().manual_seed(0))
    network = load_parameters(source.family.skeleton(at), weights, assign=True)
    device = next(network.parameters()).device
    return latency(network.to(device), source.family.example_input().to(device))
