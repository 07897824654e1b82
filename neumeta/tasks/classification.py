"""The task of giving every example one class."""

import torch.nn.functional as F
from torch import Tensor

from neumeta.tasks.task import Score


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
