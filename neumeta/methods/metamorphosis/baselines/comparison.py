"""What all trained peers of one experiment share: the same examples, teacher and precision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from neumeta.core.device import autocast
from neumeta.core.fields import Trains
from neumeta.data.dataset import Dataset
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.parameters import place_of
from neumeta.models.parts import Part, apply_part
from neumeta.models.skeletons import Skeletons
from neumeta.tasks.batch import Batch
from neumeta.tasks.registry import task_of
from neumeta.tasks.task import Task
from neumeta.tracing.groups import Group
from neumeta.training.examples import Examples, training_examples
from neumeta.training.params import ExamplesParams, TeachingParams


@dataclass(frozen=True)
class Comparison:
    """The examples that the INR is trained on, and the base network as a teacher.

    Attributes:
        family: The family that morphs.
        base: Permuted base parameters by name.
        dataset: Its train split is used; lies where the parameters do.
        params: Augmented views and precision of the INR's training.
        points: Networks the INR is trained at, ascending.
    """

    family: Family
    base: Mapping[str, Tensor]
    dataset: Dataset
    params: ExamplesParams
    points: tuple[Point, ...]
    _examples: dict[Part, Examples] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where its tensors lie, and so where networks are trained and scored.

        Returns:
            The device.
        """
        return place_of(self.base)

    @cached_property
    def task(self) -> Task:
        """What is learnt.

        Returns:
            Losses and metrics.
        """
        return task_of(self.dataset)

    @cached_property
    def skeletons(self) -> Skeletons:
        """The architectures.

        Returns:
            Those of the family.
        """
        return Skeletons(self.family)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Channels that are cut or reordered together.

        Returns:
            The clique groups that morph.
        """
        return self.family.groups

    def bank(self, trains: Trains) -> Examples:
        """Training examples as the trained tensors see them; made once.

        Args:
            trains: `generated` for features of the frozen trunk, `all` for the same augmented
                images themselves.

        Returns:
            The examples.
        """
        tail = trains == "generated" and self.family.has_trunk
        part: Part = "tail" if tail else "whole"
        if part not in self._examples:
            family = self.family if tail else replace(self.family, has_trunk=False)
            self._examples[part] = training_examples(
                family,
                self.base,
                self.dataset,
                self.params.augmentation,
                self.params.precision,
            )
        return self._examples[part]

    def outputs(
        self, network: nn.Module, weights: Mapping[str, Tensor], examples: Examples, inputs: Tensor
    ) -> Tensor:
        """Apply a network in the precision of the experiment.

        Args:
            network: The architecture, and those weights that are not given.
            weights: Parameters by name.
            examples: Where the inputs come from.
            inputs: Shape (b, ...).

        Returns:
            Float32, shape (b, ...).
        """
        with autocast(self.device, self.params.precision):
            result: Tensor = apply_part(network, weights, inputs, examples.part)
        return result.float()

    def loss(
        self,
        outputs: Tensor,
        batch: Batch,
        examples: Examples,
        teaching: TeachingParams | None = None,
    ) -> Tensor:
        """Compare outputs with the targets, and with the base network's outputs where asked for.

        Args:
            outputs: Of the network that learns, shape (b, ...).
            batch: What it saw.
            examples: Where the batch comes from.
            teaching: Weights of the two terms; None for the task loss alone.

        Returns:
            A scalar.
        """
        if teaching is None:
            return self.task.loss(outputs, batch)
        terms = []
        if teaching.task > 0:
            terms.append(teaching.task * self.task.loss(outputs, batch))
        if teaching.distillation > 0:
            answers = examples.teacher_outputs[batch.rows]
            distance = self.task.distance(outputs, answers, teaching.temperature)
            terms.append(teaching.distillation * distance)
        return torch.stack(terms).sum()
