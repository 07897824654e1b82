"""What all trained peers of one experiment share: the same examples, teacher and precision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from neumeta.core.fields import Trains
from neumeta.data.dataset import Dataset
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.groups import Group
from neumeta.models.parts import Part, apply_part
from neumeta.models.tensor_specs import Shape
from neumeta.permute.morphing import morphing_groups
from neumeta.tasks.registry import task_named
from neumeta.tasks.task import Task
from neumeta.training.features import Bank, outputs_on, products_in, training_bank
from neumeta.training.fit import Batch
from neumeta.training.params import ExamplesParams, TeachingParams


@dataclass(frozen=True)
class Examples:
    """The examples that the INR is trained on, and the base network as a teacher.

    Attributes:
        family: The family that morphs.
        base: Permuted base parameters by name.
        dataset: Its train split is used.
        params: Augmented views and precision of the INR's training.
        points: Networks the INR is trained at, ascending.
    """

    family: Family
    base: Mapping[str, Tensor]
    dataset: Dataset
    params: ExamplesParams
    points: tuple[Point, ...]
    _banks: dict[Part, Bank] = field(default_factory=dict)
    _answers: dict[Part, Tensor] = field(default_factory=dict)
    _skeletons: dict[Point, nn.Module] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """What is learnt.

        Returns:
            Losses and scores.
        """
        return task_named(self.dataset.task)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Channels that are cut or reordered together.

        Returns:
            The clique groups that morph.
        """
        return morphing_groups(self.family)

    def bank(self, trains: Trains) -> Bank:
        """Training examples as the trained tensors see them; made once.

        Args:
            trains: `generated` for features of the frozen trunk, `all` for the same augmented
                images themselves.

        Returns:
            The examples.
        """
        tail = trains == "generated" and self.family.has_trunk
        part: Part = "tail" if tail else "whole"
        if part not in self._banks:
            family = self.family if tail else replace(self.family, has_trunk=False)
            self._banks[part] = training_bank(
                family,
                self.base,
                self.dataset,
                self.params.augmentation,
                self.params.precision,
            )
        return self._banks[part]

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

    def shapes(self, at: Point) -> dict[str, Shape]:
        """Shapes of all parameters at a point.

        Args:
            at: Which network.

        Returns:
            Shape by parameter name.
        """
        return {n: tuple(p.shape) for n, p in self.skeleton(at).named_parameters()}

    def outputs(
        self, network: nn.Module, weights: Mapping[str, Tensor], bank: Bank, inputs: Tensor
    ) -> Tensor:
        """Apply a network in the precision of the experiment.

        Args:
            network: The architecture, and those weights that are not given.
            weights: Parameters by name.
            bank: Where the inputs come from.
            inputs: Shape (b, ...).

        Returns:
            Float32, shape (b, ...).
        """
        with products_in(self.params.precision):
            result: Tensor = apply_part(network, weights, inputs, bank.part)
        return result.float()

    def loss(
        self, outputs: Tensor, batch: Batch, bank: Bank, teaching: TeachingParams | None = None
    ) -> Tensor:
        """Compare outputs with the targets, and with the base network's outputs where asked for.

        Args:
            outputs: Of the network that learns, shape (b, ...).
            batch: What it saw.
            bank: Where the batch comes from.
            teaching: Weights of the two terms; None for the task loss alone.

        Returns:
            A scalar.
        """
        if teaching is None:
            return self.task.loss(outputs, batch.targets)
        terms = []
        if teaching.task > 0:
            terms.append(teaching.task * self.task.loss(outputs, batch.targets))
        if teaching.distillation > 0:
            answers = self._answers_for(bank)[batch.rows]
            distance = self.task.distillation(outputs, answers, teaching.temperature)
            terms.append(teaching.distillation * distance)
        return torch.stack(terms).sum()

    def _answers_for(self, bank: Bank) -> Tensor:
        """Outputs of the base network on all views of the examples, shape (views * n, ...)."""
        if bank.part not in self._answers:
            network = self.skeleton(self.family.base)
            precision = self.params.precision
            self._answers[bank.part] = outputs_on(bank, network, self.base, precision)
        return self._answers[bank.part]
