"""What all seeds of one INR training share: the data, the base network, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor, nn

from neumeta.data.dataset import Dataset, Split
from neumeta.measure.controls import bypass_floor
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.models.family import Family
from neumeta.models.resampling import interpolate_weights
from neumeta.tasks.registry import task_named
from neumeta.tasks.task import Task
from neumeta.training.features import Bank, feature_split, outputs_on, training_bank


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
        return outputs_on(self.train, network, self.base, self.params.precision)

    @cached_property
    def bypass_floor(self) -> float:
        """Validation accuracy with all generated tensors at zero.

        Returns:
            A fraction, 0 to 1.
        """
        return bypass_floor(self.family, self.base, self.val, self.task, self.train.part)


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
    return Problem(
        family=family,
        base=base,
        train=training_bank(family, base, dataset, params.augmentation, params.precision),
        val=feature_split(family, base, dataset.split("val")),
        task=task_named(dataset.task),
        params=params,
    )
