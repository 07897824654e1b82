"""What all seeds of one INR training share: the data, the base network, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from neumeta.data.dataset import Dataset
from neumeta.measure.evaluator import Evaluator
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.parameters import place_of
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
    _targets: dict[Point, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where its tensors lie, and so where it is trained.

        Returns:
            The device.
        """
        return place_of(self.base)

    @property
    def task(self) -> Task:
        """What the networks learn.

        Returns:
            Losses and metrics.
        """
        return self.val.task

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

    @cached_property
    def base_score(self) -> float:
        """What the base network scores.

        Returns:
            The task's first metric on the validation split.
        """
        return self.val.deciding(self.family.base, self.base)

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


def make_problem(
    family: Family, base: Mapping[str, Tensor], dataset: Dataset, params: TrainParams
) -> Problem:
    """Prepare the data of a training.

    Args:
        family: The family that morphs.
        base: Permuted base parameters by name.
        dataset: Its train and val splits are used; lies where the parameters do.
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
