"""One way of measuring for all methods: the same examples, the same costs, the same rows."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.data.dataset import Dataset, Split, SplitName
from neumeta.measure.measurements import Measurement
from neumeta.measure.results import ResultRow
from neumeta.models.axes import Point
from neumeta.models.cost import count_macs, count_params
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.parts import Part, apply_part
from neumeta.models.skeletons import Skeletons
from neumeta.models.source import WeightSource
from neumeta.tasks.batch import Batch
from neumeta.tasks.registry import task_of
from neumeta.tasks.tally import Tally
from neumeta.tasks.task import Task, deciding
from neumeta.training.features import feature_split, trunk_part

LARGEST_BATCH = 1000
VALUES_PER_BATCH = 1 << 20  # inputs of more values than the caches hold are read twice as slowly


class Evaluator:
    """Scores weights of one family on one split, and fills the rows of every table."""

    def __init__(
        self,
        family: Family,
        dataset: Dataset,
        split: SplitName = "test",
        *,
        seen: Iterable[Point] = (),
        whole: bool = False,
    ) -> None:
        """Prepare nothing yet: features are made with the first score.

        Args:
            family: What is measured.
            dataset: The examples, and what they are for; weights must lie where they do.
            split: Which of its splits.
            seen: Networks that the INR was trained at.
            whole: Run the whole network for every score. The features of its frozen trunk, made
                once, give the same outputs up to rounding.
        """
        self.family = family
        self.dataset = dataset
        self.split: SplitName = split
        self.task: Task = task_of(dataset)
        self.part: Part = "whole" if whole else trunk_part(family)
        self.seen = frozenset(seen)
        self.skeletons = Skeletons(family)
        self._costs: dict[Point, tuple[int, int]] = {}
        self._trunk: dict[str, Tensor] = {}
        self._examples: Split | None = None

    def __len__(self) -> int:
        return self.dataset.size(self.split)

    def tally(self, at: Point, weights: Mapping[str, Tensor]) -> Tally:
        """Score one network.

        Args:
            at: Which network.
            weights: All parameters by name.

        Returns:
            Sums over the split.
        """
        examples = self._examples_for(weights)
        return evaluate(self.skeletons.at(at), weights, examples, self.task, part=self.part)

    def values(self, at: Point, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """Score one network by all metrics of the task.

        Args:
            at: Which network.
            weights: All parameters by name.

        Returns:
            Value by the name of each metric.
        """
        return self.task.values(self.tally(at, weights))

    def deciding(self, at: Point, weights: Mapping[str, Tensor]) -> float:
        """Score one network by the metric that decides.

        Args:
            at: Which network.
            weights: All parameters by name.

        Returns:
            The value of the task's first metric.
        """
        return deciding(self.task, self.tally(at, weights))

    def row(
        self, method: str, at: Point, weights: Mapping[str, Tensor], seed: int | None = None
    ) -> ResultRow:
        """Score one network for the table of widths, whose metrics are accuracy and loss.

        Args:
            method: Name of the method.
            at: Which network.
            weights: All parameters by name.
            seed: Seed of the run, or None.

        Returns:
            The measured row.

        Raises:
            UserError: If the task has other metrics.
        """
        values = self.values(at, weights)
        if {*values} != {"accuracy", "loss"}:
            found = " and ".join(values)
            raise UserError(
                f"task {self.task.name}: the table of widths holds accuracy and loss, not {found}"
            )
        params, macs = self._cost(at)
        width, seen = at["width"], at in self.seen
        return ResultRow(method, width, seen, seed, **values, params=params, macs=macs)

    def measure(
        self,
        source: WeightSource,
        points: Iterable[Point],
        seeds: Sequence[int] = (0,),
        *,
        method: str,
        item: str,
    ) -> list[Measurement]:
        """Score networks of one source for the long table.

        Args:
            source: Gives their weights.
            points: Which networks.
            seeds: Of the draws: every network is made once with each.
            method: Name of the method.
            item: Name of the experiment.

        Returns:
            One row per network, seed and metric. Rows carry the seed of the source; that of the
            draw, where it has none.
        """
        rows = []
        for at in points:
            for seed in seeds:
                weights = source.weights(at, generator=torch.Generator().manual_seed(seed))
                own = seed if source.card.seed is None else source.card.seed
                where = (method, item, at.values(), own, self.split)
                costs = (len(self), *self._cost(at), source.card.stored_bytes)
                values = self.values(at, weights)
                rows += [Measurement(*where, name, value, *costs) for name, value in values.items()]
        return rows

    def _examples_for(self, weights: Mapping[str, Tensor]) -> Split:
        """What the scored part sees; features are made again only when the trunk is another."""
        if self.part == "whole":
            if self._examples is None:
                self._examples = self.dataset.split(self.split)
            return self._examples
        trunk = {name: weights[name] for name in self.family.frozen}
        same = self._trunk and all(torch.equal(self._trunk[n], v) for n, v in trunk.items())
        if self._examples is None or not same:
            self._trunk = {name: value.clone() for name, value in trunk.items()}
            self._examples = feature_split(self.family, weights, self.dataset.split(self.split))
        return self._examples

    def _cost(self, at: Point) -> tuple[int, int]:
        if at not in self._costs:
            network = self.skeletons.at(at)
            macs = count_macs(network, self.family.example_input().to("meta"))
            self._costs[at] = (count_params(network), macs)
        return self._costs[at]


def evaluate(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    split: Split,
    task: Task,
    batch_size: int | None = None,
    part: Part = "whole",
) -> Tally:
    """Score a network with the given weights on a whole split, without gradients.

    Args:
        network: The architecture; its own parameters are not used, so it may be on meta.
        weights: All parameters by name.
        split: Examples.
        task: How to score.
        batch_size: Examples per forward pass; does not change the sums beyond rounding. None
            takes as many as hold about a million input values, at most a thousand.
        part: The part of the network that takes the split's inputs.

    Returns:
        Sums over the split.
    """
    total = Tally()
    size = batch_size or _batch_size(split.inputs)
    rows = torch.arange(len(split), device=split.inputs.device)
    columns = (split.inputs, split.targets, rows)
    with torch.no_grad():
        for some in zip(*(column.split(size) for column in columns), strict=True):
            batch = Batch(*some)
            outputs = apply_part(network, weights, batch.inputs, part).float()
            total += task.tally(outputs, batch)
    return total


def validation_on(split: Split, task: Task) -> Callable[[nn.Module], float]:
    """Make the validation of a training: a score of a network's own weights and norms.

    Args:
        split: Examples.
        task: How to score.

    Returns:
        Maps a network, which keeps its mode, to the task's first metric.
    """
    return lambda network: deciding(task, evaluate(network, parameters_of(network), split, task))


def _batch_size(inputs: Tensor) -> int:
    values = math.prod(inputs.shape[1:])
    return max(1, min(LARGEST_BATCH, VALUES_PER_BATCH // values))
