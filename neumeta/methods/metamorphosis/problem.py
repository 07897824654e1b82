"""What all seeds of one INR training share: the data, the base network, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor, nn

from neumeta.data.dataset import Dataset, Split
from neumeta.measure.controls import bypass_floor
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.axes import Point
from neumeta.models.family import Family
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
    _targets: dict[Point, dict[str, Tensor]] = field(default_factory=dict)
    _skeletons: dict[Point, nn.Module] = field(default_factory=dict)

    def target(self, at: Point) -> dict[str, Tensor]:
        """Resampled base weights, the target of the reconstruction.

        Args:
            at: Which network.

        Returns:
            Generated tensors by name.
        """
        if at not in self._targets:
            origin = self.params.coordinates.origin
            self._targets[at] = self.family.resample(self.base, at, origin)
        return self._targets[at]

    def skeleton(self, at: Point) -> nn.Module:
        """The architecture of a point, made once.

        Args:
            at: Which network.

        Returns:
            A module on the meta device.
        """
        if at not in self._skeletons:
            self._skeletons[at] = self.family.skeleton(at)
        return self._skeletons[at]

    @cached_property
    def probes(self) -> tuple[Point, ...]:
        """Networks that are validated during the training.

        Returns:
            Points, in the order of the params.
        """
        return tuple(at_width(self.family, width) for width in self.params.probe_widths)

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
        network = self.skeleton(self.family.base)
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
