"""The task of giving every example one class."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from neumeta.tasks.batch import Batch
from neumeta.tasks.tally import Tally
from neumeta.tasks.task import Metric


class Classification:
    """One class per example: cross-entropy, Hinton distillation, top-1 accuracy."""

    name = "classification"
    metrics: tuple[Metric, ...] = (
        Metric("accuracy", "share", higher_is_better=True),
        Metric("loss", "nats", higher_is_better=False),
    )

    def target_shape(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        """One class index per example.

        Args:
            image_shape: Channels, height, width.

        Returns:
            The empty shape.
        """
        return ()

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy in nats.

        Args:
            outputs: Logits, shape (n, classes).
            batch: Its targets are class indices, shape (n,).

        Returns:
            The mean over the batch.
        """
        return F.cross_entropy(outputs, batch.targets)

    def distance(self, outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
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

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        """Count right answers and sum the cross-entropy.

        Args:
            outputs: Logits, shape (n, classes).
            batch: Its targets are class indices, shape (n,).

        Returns:
            Sums `right` and `loss` over the batch.
        """
        right = (outputs.argmax(dim=1) == batch.targets).sum().item()
        loss = F.cross_entropy(outputs, batch.targets, reduction="sum").item()
        return Tally({"right": float(right), "loss": loss}, len(batch))

    def values(self, tally: Tally) -> dict[str, float]:
        """Share of right answers, and mean cross-entropy.

        Args:
            tally: Over at least one example.

        Returns:
            `accuracy`, a fraction, and `loss`, nats.
        """
        return {
            "accuracy": tally.number("right") / tally.examples,
            "loss": tally.number("loss") / tally.examples,
        }
