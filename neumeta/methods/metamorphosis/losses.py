"""The three-part loss: task (with distillation), reconstruction, regularisation."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from neumeta.methods.metamorphosis.params.train import LossParams


@dataclass(frozen=True)
class LossTerms:
    """Unweighted terms of one step; absent ones are None.

    Attributes:
        task: Mean task loss of the batch.
        distillation: Mean distance from the teacher's outputs.
        reconstruction: See `reconstruction_loss`.
        regularisation: See `regularisation_loss`.
    """

    task: Tensor | None = None
    distillation: Tensor | None = None
    reconstruction: Tensor | None = None
    regularisation: Tensor | None = None

    def named(self) -> dict[str, Tensor]:
        """List the terms that were computed.

        Returns:
            Scalars by term name.
        """
        return {name: term for name, term in vars(self).items() if term is not None}

    def weighted(self, weights: Mapping[str, float]) -> Tensor:
        """Add up the terms.

        Args:
            weights: Factor by term name.

        Returns:
            A scalar.
        """
        return torch.stack([weights[name] * term for name, term in self.named().items()]).sum()


def loss_weights(params: LossParams, progress: float) -> dict[str, float]:
    """Factors of the terms at a point of the task phase.

    The reconstruction is an anchor that fades linearly: without it the generator dies when the
    learning rate rises after the warm start.

    Args:
        params: The section `losses`.
        progress: Share of the task steps done, 0 to 1.

    Returns:
        Factor by term name.
    """
    return {
        "task": params.task,
        "distillation": params.distillation,
        "reconstruction": params.reconstruction * max(0.0, 1 - progress / params.fade),
        "regularisation": params.regularisation,
    }


def reconstruction_loss(weights: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """Squared distance from the target weights relative to their size, mean over tensors.

    Relative, so that small tensors (biases) count as much as large ones.

    Args:
        weights: Generated tensors by name.
        targets: Tensors of the same names and shapes.

    Returns:
        A scalar; 1 for all-zero weights.
    """
    ratios = [
        (weights[name] - target).square().sum() / target.square().sum().clamp_min(1e-12)
        for name, target in targets.items()
    ]
    return torch.stack(ratios).mean()


def regularisation_loss(weights: Mapping[str, Tensor]) -> Tensor:
    """Sum over tensors of the unsquared L2 norm.

    Args:
        weights: Generated tensors by name.

    Returns:
        A scalar.
    """
    return torch.stack([weight.norm() for weight in weights.values()]).sum()
