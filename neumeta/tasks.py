"""Tasks: what a network is trained for and how it is scored. Nothing else knows which one runs."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor

from neumeta.errors import UserError


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


class Classification:
    """One class per example: cross-entropy, Hinton distillation, top-1 accuracy."""

    name = "classification"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats.

        Args:
            outputs: Logits, shape (n, classes).
            targets: Class indices, shape (n,).

        Returns:
            The mean over the batch.
        """
        return F.cross_entropy(outputs, targets)

    def distillation(self, outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """KL divergence of the student from the teacher, times temperature squared.

        Source: Hinton et al. 2015, "Distilling the knowledge in a neural network", section 2.

        Args:
            outputs: Student logits, shape (n, classes).
            teacher: Teacher logits, shape (n, classes).
            temperature: Divides both logits.

        Returns:
            The mean over the batch, nats.
        """
        student = F.log_softmax(outputs / temperature, dim=1)
        target = F.log_softmax(teacher / temperature, dim=1)
        divergence = F.kl_div(student, target, log_target=True, reduction="batchmean")
        return divergence * temperature**2

    def score(self, outputs: Tensor, targets: Tensor) -> Score:
        """Count right answers and sum the cross-entropy.

        Args:
            outputs: Logits, shape (n, classes).
            targets: Class indices, shape (n,).

        Returns:
            Sums over the batch.
        """
        right = (outputs.argmax(dim=1) == targets).sum().item()
        loss = F.cross_entropy(outputs, targets, reduction="sum").item()
        return Score(float(right), loss, len(targets))


TASKS: dict[str, Task] = {Classification.name: Classification()}


def task_named(name: str) -> Task:
    """Look a task up.

    Args:
        name: As a dataset's header holds it.

    Returns:
        The task.

    Raises:
        UserError: If there is no such task.
    """
    if name not in TASKS:
        raise UserError(f"task {name!r} is unknown; allowed are {', '.join(TASKS)}")
    return TASKS[name]
