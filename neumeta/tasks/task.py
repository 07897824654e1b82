"""What training and measuring know of a task: its losses, its metrics, and sums that add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from neumeta.tasks.batch import Batch
from neumeta.tasks.tally import Tally


@dataclass(frozen=True)
class Metric:
    """One number that tells how good a network is.

    Attributes:
        name: As in tables, such as `accuracy`.
        unit: `share` for fractions of 1, else such as `nats`.
        higher_is_better: Which way is good.
    """

    name: str
    unit: str
    higher_is_better: bool

    def format(self, value: float) -> str:
        """Write a value for people.

        Args:
            value: In the metric's unit.

        Returns:
            Shares in per cent, all else as a plain number.
        """
        return f"{value:.2%}" if self.unit == "share" else f"{value:.4f}"


@runtime_checkable
class Task(Protocol):
    """What a network is trained for and judged by.

    Attributes:
        name: As a dataset's header holds it.
        metrics: What a network is judged by. The first one decides: a share of the examples, the
            more the better, so that its sampling error is known.
    """

    name: str
    metrics: tuple[Metric, ...]

    def target_shape(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        """Tell what a dataset must give for one example.

        Args:
            image_shape: Channels, height, width.

        Returns:
            Shape of one target; empty for a number.
        """
        ...

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean training loss of a batch.

        Args:
            outputs: What the network gave, batch first.
            batch: What it saw.

        Returns:
            A scalar.
        """
        ...

    def distance(self, outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Mean distance from a teacher's outputs.

        Args:
            outputs: What the network gave, batch first.
            teacher: What the teacher gave for the same inputs.
            temperature: Softening of both, 1 for none.

        Returns:
            A scalar, 0 where both agree.
        """
        ...

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        """Evaluate a batch.

        Args:
            outputs: What the network gave, batch first.
            batch: What it saw.

        Returns:
            Sums over the batch.
        """
        ...

    def values(self, tally: Tally) -> dict[str, float]:
        """Turn sums into metrics.

        Args:
            tally: Over at least one example.

        Returns:
            Value by the name of each metric, in their order.
        """
        ...


def deciding(task: Task, tally: Tally) -> float:
    """Take the metric that decides.

    Args:
        task: Which metrics there are.
        tally: Sums over at least one example.

    Returns:
        The value of the first metric.
    """
    return task.values(tally)[task.metrics[0].name]
