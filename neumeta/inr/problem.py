"""What all seeds of one INR training share: the data, the base network, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from neumeta.dataset import Dataset, Split
from neumeta.evaluate import bypass_weights, evaluate
from neumeta.features import Bank, feature_split, training_bank
from neumeta.interpolate import interpolate_weights
from neumeta.models.family import Family
from neumeta.models.parts import apply_part
from neumeta.params import TrainParams
from neumeta.tasks import Task, task_named

TEACHER_BATCH = 1000
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Problem:
    """What all seeds of one experiment share.

    Attributes:
        family: The family that morphs.
        base: Permuted base parameters by name.
        train: Training examples as the morphing part sees them.
        val: Validation features, for the curve and the collapse check only.
        task: Losses and scores.
        params: The section `train`.
    """

    family: Family
    base: Mapping[str, Tensor]
    train: Bank
    val: Split
    task: Task
    params: TrainParams
    _targets: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    _skeletons: dict[int, nn.Module] = field(default_factory=dict)

    def target(self, width: int) -> dict[str, Tensor]:
        """Resampled base weights, the target of the reconstruction.

        Args:
            width: Base width h, channels.

        Returns:
            Generated tensors by name.
        """
        if width not in self._targets:
            self._targets[width] = interpolate_weights(
                self.base, self.family, width, self.params.coordinates.origin
            )
        return self._targets[width]

    def skeleton(self, width: int) -> nn.Module:
        """The architecture of a width, made once.

        Args:
            width: Base width h, channels.

        Returns:
            A module on the meta device.
        """
        if width not in self._skeletons:
            self._skeletons[width] = self.family.skeleton(width)
        return self._skeletons[width]

    def complete(self, generated: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the tensors that are not generated.

        Args:
            generated: Tensors by name.

        Returns:
            All parameters by name.
        """
        return {**self.base, **generated}

    @cached_property
    def teacher_outputs(self) -> Tensor:
        """Outputs of the base network on the training examples, all views of them.

        Returns:
            Shape (views * n, ...), without gradients.
        """
        network = self.skeleton(self.family.base_width)
        inputs = self.train.inputs.flatten(0, 1)
        with torch.no_grad(), self.precision():
            parts = [
                apply_part(network, self.base, batch, self.train.part).float()
                for batch in inputs.split(TEACHER_BATCH)
            ]
        return torch.cat(parts)

    def precision(self) -> torch.autocast:
        """Choose the type of matrix products.

        Returns:
            A context in which they run in the precision of the params.
        """
        low = self.params.precision == "bfloat16"
        return torch.autocast("cpu", torch.bfloat16, enabled=low)

    @cached_property
    def bypass_floor(self) -> float:
        """Validation accuracy with all generated tensors at zero.

        Returns:
            A fraction, 0 to 1.
        """
        width = self.family.base_width
        weights = bypass_weights(self.base, self.family.generated)
        score = evaluate(self.skeleton(width), weights, self.val, self.task, part=self.train.part)
        return score.accuracy


def make_problem(
    family: Family, base: Mapping[str, Tensor], dataset: Dataset, params: TrainParams
) -> Problem:
    """Prepare the data of a training.

    Args:
        family: The family that morphs.
        base: Permuted base parameters by name.
        dataset: Its train and val splits are used.
        params: The section `train`.

    Returns:
        What the seeds share.
    """
    dtype = DTYPES[params.precision]
    return Problem(
        family=family,
        base=base,
        train=training_bank(family, base, dataset, params.augmentation, dtype),
        val=feature_split(family, base, dataset.split("val")),
        task=task_named(dataset.task),
        params=params,
    )
