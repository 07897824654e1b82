"""One way of measuring for all methods: the same test set, the same costs, the same row."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from neumeta.dataset import Dataset, Split
from neumeta.evaluate import evaluate
from neumeta.models.cost import count_macs, count_params
from neumeta.models.family import Family
from neumeta.results import ResultRow
from neumeta.tasks import Task, task_named


class Scorer:
    """Turns (method, width, weights) into rows of the result table."""

    def __init__(self, family: Family, dataset: Dataset, seen: Sequence[int]) -> None:
        """Prepare the test set.

        Args:
            family: What is measured.
            dataset: Its test split is used.
            seen: Widths the INR was trained at.
        """
        self.family = family
        self.task: Task = task_named(dataset.task)
        self.test: Split = dataset.split("test")
        self.seen = frozenset(seen)
        self._costs: dict[int, tuple[int, int]] = {}

    def row(
        self, method: str, width: int, weights: Mapping[str, Tensor], seed: int | None = None
    ) -> ResultRow:
        """Score one network on the test set.

        Args:
            method: Name of the method.
            width: Base width h, channels.
            weights: All parameters by name.
            seed: Seed of the run, or None.

        Returns:
            The measured row.
        """
        network = self.family.skeleton(width)
        score = evaluate(network, weights, self.test, self.task)
        params, macs = self._cost(width)
        seen = width in self.seen
        return ResultRow(method, width, seen, seed, score.accuracy, score.mean_loss, params, macs)

    def _cost(self, width: int) -> tuple[int, int]:
        if width not in self._costs:
            network = self.family.skeleton(width)
            macs = count_macs(network, self.family.example_input().to("meta"))
            self._costs[width] = (count_params(network), macs)
        return self._costs[width]
