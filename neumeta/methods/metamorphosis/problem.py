"""What all seeds of one INR training share: the data, the base network, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from neumeta.data.dataset import Dataset
from neumeta.measure.evaluator import Evaluator
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.models.family import Family
from neumeta.models.resampling import interpolate_weights
from neumeta.tasks.task import Task
from neumeta.training.examples import Examples, training_examples


@dataclass(frozen=True)
class Problem:
    """What all seeds of one experiment share.

    Attributes:
        family: The family that morphs.
        base: Permuted base parameters by name.
        train: Training examples as the morphing part sees them, with the base network as teacher.
        val: Scores on the validation split, for the curve and the collapse check only.
        params: The section `train`.
    """

    family: Family
    base: Mapping[str, Tensor]
    train: Examples
    val: Evaluator
    params: TrainParams
    _targets: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """What the networks learn.

        Returns:
            Losses and metrics.
        """
        return self.val.task

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

    def complete(self, generated: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the tensors that are not generated.

        Args:
            generated: Tensors by name.

        Returns:
            All parameters by name.
        """
        return {**self.base, **generated}


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
        train=training_examples(family, base, dataset, params.augmentation, params.precision),
        val=Evaluator(family, dataset, "val"),
        params=params,
    )
