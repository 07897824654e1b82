"""Everything that the report of a study is made of, as the stages `orders` and `study` wrote it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

import pandas as pd
from pydantic import model_validator

from neumeta.core.records import Frozen, StageRun
from neumeta.measure.statistics import Spread, above_bound, seen_by_width
from neumeta.methods.metamorphosis.orders_report.looks import ORIGINAL, STRATEGIES


def _complete(strategies: Iterable[str]) -> None:
    if set(strategies) != set(STRATEGIES):
        raise ValueError(f"strategies are {sorted(set(strategies))}, not {sorted(STRATEGIES)}")


class GroupOrders(Frozen):
    """One clique group in all orders."""

    name: str
    channels: int  # that share the order
    lower_bound: float  # proven: no path through them is shorter
    lengths: dict[str, tuple[float, ...]]  # path length by strategy, one per run

    def gap(self, strategy: str) -> float | None:
        """How far the longest path of any run is above the bound, a share of it, or None."""
        return above_bound(max(self.lengths[strategy]), self.lower_bound)


class _Run(Frozen):  # one run of one strategy on a network
    strategy: str
    variation: float  # of all tensors, undivided
    function_error: float  # largest change of an output, as a share of the largest output


class NetworkOrders(Frozen):
    """One network in all orders."""

    network: str  # its section of params.yaml
    dataset: str
    origin: str  # of its weights: `train`, `url` or `file`
    accuracy: float  # of the network, a fraction of `test_size` test examples
    test_size: int
    parameters: int  # values in its tensors
    tensors: int  # number of parameter tensors, BatchNorm folded
    images: int  # real images on which permuted networks gave the same outputs
    groups: tuple[GroupOrders, ...]
    runs: tuple[_Run, ...]
    pinned: tuple[str, ...]  # why other axes stay

    @model_validator(mode="after")
    def _checked(self) -> "NetworkOrders":
        for strategies in ([run.strategy for run in self.runs], *(g.lengths for g in self.groups)):
            _complete(strategies)
        numbers = {len(runs) for group in self.groups for runs in group.lengths.values()}
        if len(numbers | {len(self.variation(name)) for name in STRATEGIES}) != 1:
            raise ValueError("every strategy must have as many runs")
        return self

    def variation(self, strategy: str) -> list[float]:
        """Total variation of all tensors, one per run, undivided."""
        return [run.variation for run in self.runs if run.strategy == strategy]

    def relative(self, strategy: str) -> Spread:
        """Total variation as a share of that of the original order, over runs."""
        original = fmean(self.variation(ORIGINAL))
        return Spread.of(value / original for value in self.variation(strategy))

    def ends(self, strategy: str) -> tuple[float, float]:
        """Length of all paths together in the run in which they are longest, and their bound."""
        runs = zip(*(group.lengths[strategy] for group in self.groups), strict=True)
        bound = sum(group.lower_bound for group in self.groups)
        return max((sum(lengths) for lengths in runs), default=0.0), bound

    def gap(self, strategy: str) -> float | None:
        """How far these paths are above their bounds together, a share, or None."""
        return above_bound(*self.ends(strategy))


class _Score(Frozen):  # one network that an INR made
    strategy: str
    seed: int
    width: int
    seen: bool  # whether networks of this width were built in training
    accuracy: float
    collapsed: bool  # whether the generator is dead
    variation: float  # of the generated tensors, in the orders that the INR sees


class _Controls(Frozen):
    base: float  # accuracy of the base network
    bypass: float  # accuracy with all generated tensors at zero


class StudyInrs(Frozen):
    """The INRs trained from each order."""

    experiment: str  # whose network and parameters
    split: str  # what they were scored on
    examples: int  # how many examples that are
    base_width: int  # of the base network, channels
    train: dict[str, Any]  # their section `train`
    controls: _Controls
    rows: tuple[_Score, ...]  # one per strategy, seed and width

    @model_validator(mode="after")
    def _checked(self) -> "StudyInrs":
        _complete(row.strategy for row in self.rows)
        axes = self.frame[["strategy", "seed", "width"]]
        if axes.duplicated().any() or len(axes) != axes.nunique().prod():
            raise ValueError("rows must hold every strategy, seed and width once")
        return self

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame([row.model_dump() for row in self.rows])

    @cached_property
    def seen(self) -> dict[int, bool]:
        """Whether networks of each width, ascending, were built in training."""
        return seen_by_width(self.frame)

    def by_seed(self, strategy: str, width: int) -> pd.Series:
        """Accuracies, fractions, by seed."""
        own = self.frame.query("strategy == @strategy and width == @width")
        return own.set_index("seed")["accuracy"]

    def accuracy(self, strategy: str, width: int) -> Spread:
        """Accuracy over seeds."""
        return Spread.of(self.by_seed(strategy, width))

    def difference(self, one: str, other: str, width: int) -> Spread:
        """Accuracy from one order less that from another, seed by seed."""
        return Spread.of(self.by_seed(one, width) - self.by_seed(other, width))

    def collapsed(self, strategy: str) -> int:
        """Number of dead generators."""
        return int(self.frame.query("strategy == @strategy and collapsed")["seed"].nunique())


@dataclass(frozen=True)
class StudyInputs:
    """All inputs of one report."""

    study: str
    networks: Sequence[NetworkOrders]  # in the order of the parameters
    inrs: StudyInrs
    params: Mapping[str, Any] = field(default_factory=dict)  # its whole section of params.yaml
    runs: Sequence[StageRun] = ()

    @cached_property
    def main(self) -> NetworkOrders:
        """The network whose INRs were trained."""
        return next(n for n in self.networks if n.network == self.inrs.experiment)

    @cached_property
    def text(self) -> Mapping[str, Any]:
        """The section `report`: title, summary and published numbers."""
        return self.params.get("report") or {}

    @cached_property
    def published(self) -> Mapping[str, Mapping[str, float]]:
        """Published numbers by strategy: `variation`, and `accuracy` in per cent."""
        return self.text.get("published") or {}
