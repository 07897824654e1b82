"""What trainer, sweep and baselines know of a task: losses, and scores that add up."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class Score:
    """Sums over examples, so that batches of any size add up exactly.

    Attributes:
        correct: Number of examples counted as right.
        loss: Sum of the task loss over examples.
        examples: Number of examples.
    """

    correct: float
    loss: float
    examples: int

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.correct + other.correct, self.loss + other.loss, self.examples + other.examples
        )

    @property
    def accuracy(self) -> float:
        """Share of right examples.

        Returns:
            A fraction, 0 to 1.
        """
        return self.correct / self.examples

    @property
    def mean_loss(self) -> float:
        """Task loss per example.

        Returns:
            The mean.
        """
        return self.loss / self.examples


@runtime_checkable
class Task(Protocol):
    """What trainer, sweep and baselines need to know of a task."""

    name: str

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean training loss of a batch.

        Args:
            outputs: What the network gave, batch first.
            targets: What the dataset gave, batch first.

        Returns:
            A scalar.
        """
        ...

    def distillation(self, outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Mean distance from a teacher's outputs.

        Args:
            outputs: What the network gave, batch first.
            teacher: What the teacher gave for the same inputs.
            temperature: Softening of both, 1 for none.

        Returns:
            A scalar, 0 where both agree.
        """
        ...

    def score(self, outputs: Tensor, targets: Tensor) -> Score:
        """Evaluate a batch.

        Args:
            outputs: What the network gave, batch first.
            targets: What the dataset gave, batch first.

        Returns:
            Sums over the batch.
        """
        ...
