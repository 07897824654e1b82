"""Everything a report of a study is made of, as values."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scipy.stats import t as student_t

from neumeta.report import StageRun
from neumeta.study_report.labels import ORIGINAL, OURS


class Spread(NamedTuple):
    """Mean and sample standard deviation; 0 for equal values, NaN for a single one."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Summarise values.

        Args:
            values: One or more.

        Returns:
            Mean, spread and number.
        """
        numbers = list(values)
        std = statistics.stdev(numbers) if len(numbers) > 1 else math.nan
        return cls(statistics.fmean(numbers), std, len(numbers))

    @property
    def told_apart(self) -> bool:
        """Whether 0 lies outside the 95 % interval of the mean (Student's t)."""
        limit = float(student_t.ppf(0.975, self.n - 1)) if self.n > 1 else math.inf
        return abs(self.mean) > limit * self.std / math.sqrt(self.n)


@dataclass(frozen=True)
class GroupOrders:
    """One clique group in all orders.

    Attributes:
        name: The group.
        channels: Units that share the order.
        bound: Proven: no path through them is shorter.
        lengths: Path length by strategy, one per run.
    """

    name: str
    channels: int
    bound: float
    lengths: Mapping[str, Sequence[float]]

    def length(self, strategy: str) -> float:
        """Mean path length over runs.

        Args:
            strategy: Name.

        Returns:
            The mean.
        """
        return statistics.fmean(self.lengths[strategy])

    def gap(self, strategy: str) -> float | None:
        """How far the longest path of any run is above the bound.

        Args:
            strategy: Name.

        Returns:
            A share of the bound; None where the bound says nothing.
        """
        return _above(max(self.lengths[strategy]), self.bound)


@dataclass(frozen=True)
class NetworkOrders:
    """One network in all orders.

    Attributes:
        name: Its section of params.yaml.
        dataset: What it classifies.
        origin: Where its weights come from: `train`, `url` or `file`.
        accuracy: Of the network, a fraction of `test_size` test examples.
        test_size: Number of test examples.
        parameters: Values in its tensors.
        tensors: Number of parameter tensors, BatchNorm folded.
        images: Real images on which permuted networks gave the same outputs.
        error: Largest change of an output, as a share of the largest output.
        variation: Total variation of all tensors by strategy, one per run, undivided.
        groups: Its clique groups.
        pinned: Why other axes stay.
    """

    name: str
    dataset: str
    origin: str
    accuracy: float
    test_size: int
    parameters: int
    tensors: int
    images: int
    error: float
    variation: Mapping[str, Sequence[float]]
    groups: Sequence[GroupOrders]
    pinned: Sequence[str] = ()

    def relative(self, strategy: str) -> Spread:
        """Total variation as a share of that of the original order.

        Args:
            strategy: Name.

        Returns:
            Over runs.
        """
        original = Spread.of(self.variation[ORIGINAL]).mean
        return Spread.of(value / original for value in self.variation[strategy])

    def gap(self, strategy: str) -> float | None:
        """How far all paths together are above their bounds together, in the worst run.

        Args:
            strategy: Name.

        Returns:
            A share; None where the bounds say nothing.
        """
        return _above(self._longest(strategy), self._bound())

    def left(self) -> float:
        """What any order could still take off the paths of ours in its worst run, at most."""
        return max(self._longest(OURS) - self._bound(), 0.0)

    def _longest(self, strategy: str) -> float:
        """All paths together, in the run in which they are longest."""
        runs = zip(*(group.lengths[strategy] for group in self.groups), strict=True)
        return max((sum(lengths) for lengths in runs), default=0.0)

    def _bound(self) -> float:
        return sum(group.bound for group in self.groups)


def _above(length: float, bound: float) -> float | None:
    return max(length / bound - 1, 0.0) if bound > 0 else None


class InrScore(NamedTuple):
    """One network that an INR made."""

    strategy: str
    seed: int
    width: int
    seen: bool
    accuracy: float
    collapsed: bool
    variation: float


@dataclass(frozen=True)
class StudyInrs:
    """The INRs trained from each order.

    Attributes:
        experiment: Whose network and parameters.
        split: What they were scored on.
        examples: How many examples that are.
        base_width: Width of the base network, channels.
        base: Accuracy of the base network on them, a fraction.
        bypass: Accuracy with all generated tensors at zero.
        rows: One per strategy, seed and width.
        budget: How long each INR was trained, in words.
    """

    experiment: str
    split: str
    examples: int
    base_width: int
    base: float
    bypass: float
    rows: Sequence[InrScore]
    budget: str = ""

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths that were scored, ascending."""
        return tuple(sorted({row.width for row in self.rows}))

    def seen(self, width: int) -> bool:
        """Whether networks of a width were built in training."""
        return any(row.seen for row in self.rows if row.width == width)

    def accuracy(self, strategy: str, width: int) -> Spread:
        """Accuracy over seeds.

        Args:
            strategy: Name.
            width: Channels.

        Returns:
            Fractions.
        """
        own = [r.accuracy for r in self.rows if (r.strategy, r.width) == (strategy, width)]
        return Spread.of(own)

    def difference(self, one: str, other: str, width: int) -> Spread:
        """Accuracy from one order less that from another, seed by seed.

        Args:
            one: Name of a strategy.
            other: Likewise.
            width: Channels.

        Returns:
            Fractions.
        """
        first, second = (
            {r.seed: r.accuracy for r in self.rows if (r.strategy, r.width) == (name, width)}
            for name in (one, other)
        )
        return Spread.of(first[seed] - second[seed] for seed in first)

    def variation(self, strategy: str) -> Spread:
        """Total variation of the generated tensors, in the orders that the INR sees."""
        own = {row.seed: row.variation for row in self.rows if row.strategy == strategy}
        return Spread.of(own.values())

    def collapsed(self, strategy: str) -> int:
        """Number of dead generators."""
        return len({r.seed for r in self.rows if r.strategy == strategy and r.collapsed})


@dataclass(frozen=True)
class StudyFacts:
    """All inputs of one report.

    Attributes:
        study: Name of the study.
        networks: In the order of the parameters.
        inrs: The INRs.
        params: The study's whole section of params.yaml.
        runs: Records of the stages.
        revision: Git revision, or None where there is no repository.
    """

    study: str
    networks: Sequence[NetworkOrders]
    inrs: StudyInrs
    params: Mapping[str, Any] = field(default_factory=dict)
    runs: Sequence[StageRun] = ()
    revision: str | None = None

    @property
    def main(self) -> NetworkOrders:
        """The network whose INRs were trained."""
        return next(n for n in self.networks if n.name == self.inrs.experiment)

    @property
    def published(self) -> Mapping[str, Mapping[str, float]]:
        """Published numbers by strategy: `variation`, and `accuracy` in per cent."""
        return (self.params.get("report") or {}).get("published") or {}

    @property
    def published_as(self) -> str:
        """Whose numbers these are."""
        return (self.params.get("report") or {}).get("published_as") or "source not named"
