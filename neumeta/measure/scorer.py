"""One way of measuring for all methods: the same test set, the same costs, the same row."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neumeta.data.dataset import Dataset, Split
from neumeta.measure.evaluate import evaluate
from neumeta.measure.results import ResultRow
from neumeta.models.axes import Point
from neumeta.models.cost import count_macs, count_params
from neumeta.models.family import Family
from neumeta.tasks.registry import task_named
from neumeta.tasks.task import Score, Task
from neumeta.training.features import feature_split, trunk_part


class Scorer:
    """Turns (method, network, weights) into rows of the result table."""

    def __init__(self, family: Family, dataset: Dataset, seen: Sequence[Point]) -> None:
        """Prepare the test set.

        Args:
            family: What is measured.
            dataset: Its test split is used.
            seen: Networks that the INR was trained at.
        """
        self.family = family
        self.task: Task = task_named(dataset.task)
        self.test: Split = dataset.split("test")
        self.seen = frozenset(seen)
        self._costs: dict[Point, tuple[int, int]] = {}
        self._trunk: dict[str, Tensor] = {}
        self._features: Split | None = None

    def row(
        self, method: str, at: Point, weights: Mapping[str, Tensor], seed: int | None = None
    ) -> ResultRow:
        """Score one network on the test set.

        Args:
            method: Name of the method.
            at: Which network.
            weights: All parameters by name.
            seed: Seed of the run, or None.

        Returns:
            The measured row.
        """
        score = self.score(at, weights)
        params, macs = self._cost(at)
        width, seen = at["width"], at in self.seen
        return ResultRow(method, width, seen, seed, score.accuracy, score.mean_loss, params, macs)

    def score(self, at: Point, weights: Mapping[str, Tensor]) -> Score:
        """Score one network on the test set.

        Args:
            at: Which network.
            weights: All parameters by name.

        Returns:
            Sums over the test set.
        """
        network, part = self.family.skeleton(at), trunk_part(self.family)
        return evaluate(network, weights, self._seen_by_tail(weights), self.task, part=part)

    def _seen_by_tail(self, weights: Mapping[str, Tensor]) -> Split:
        """Test features of these weights' trunk; computed again only when the trunk is another."""
        if not self.family.has_trunk:
            return self.test
        trunk = {name: weights[name] for name in self.family.frozen}
        same = self._trunk and all(torch.equal(self._trunk[n], v) for n, v in trunk.items())
        if self._features is None or not same:
            self._trunk = {name: value.clone() for name, value in trunk.items()}
            self._features = feature_split(self.family, weights, self.test)
        return self._features

    def _cost(self, at: Point) -> tuple[int, int]:
        if at not in self._costs:
            network = self.family.skeleton(at)
            macs = count_macs(network, self.family.example_input().to("meta"))
            self._costs[at] = (count_params(network), macs)
        return self._costs[at]
