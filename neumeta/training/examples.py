"""The training examples as one part of a network sees them, with what a teacher says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from neumeta.core.device import autocast
from neumeta.core.fields import Precision
from neumeta.core.progress import progress
from neumeta.data.augmentation import crop_and_flip
from neumeta.data.dataset import Dataset, Split
from neumeta.data.params import AugmentationParams
from neumeta.models.family import Family
from neumeta.models.parts import Part, apply_part
from neumeta.tasks.batch import Batch
from neumeta.training.features import DTYPES, TRUNK_BATCH, features, trunk_part

TEACHER_BATCH = 1000


@dataclass(frozen=True)
class Teacher:
    """A trained network that others learn from.

    Attributes:
        network: The architecture, on the meta device.
        weights: All parameters by name.
        precision: Of the matrix products.
    """

    network: nn.Module
    weights: Mapping[str, Tensor]
    precision: Precision

    def outputs(self, inputs: Tensor, part: Part) -> Tensor:
        """Apply the teacher.

        Args:
            inputs: Shape (n, ...).
            part: The part of the network that takes them.

        Returns:
            Float32, shape (n, ...), without gradients.
        """
        with torch.no_grad(), autocast(inputs.device, self.precision):
            parts = [
                apply_part(self.network, self.weights, some, part).float()
                for some in progress(inputs.split(TEACHER_BATCH), "answers of the teacher")
            ]
        return torch.cat(parts)


@dataclass(frozen=True)
class Examples:
    """Training examples as one part of a network sees them, in one or several augmented views.

    Attributes:
        views: Inputs, shape (views, n, ...).
        targets: What the dataset gives, shape (n, ...).
        part: The part of the network that takes them.
        teacher: A network that knows the answers; None for none.
    """

    views: Tensor
    targets: Tensor
    part: Part
    teacher: Teacher | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Choose a view for each example.

        Args:
            index: Examples, shape (b,).
            generator: Source of randomness; not used where there is one view.

        Returns:
            Rows of the flattened views, shape (b,), for `take`.
        """
        views = len(self.views)
        if views == 1:
            return index
        view = torch.randint(views, index.shape, generator=generator)
        return view * len(self) + index

    def take(self, rows: Tensor) -> Batch:
        """Fetch examples.

        Args:
            rows: What `rows` gave, shape (b,), drawn on the CPU.

        Returns:
            Those examples, on the device where they lie.
        """
        rows = rows.to(self.views.device)
        return Batch(self.views.flatten(0, 1)[rows], self.targets[rows % len(self)], rows)

    @cached_property
    def teacher_outputs(self) -> Tensor:
        """What the teacher says of all views; computed when it is first asked for.

        Returns:
            Float32, shape (views * n, ...), without gradients.
        """
        assert self.teacher is not None, "these examples have no teacher"
        return self.teacher.outputs(self.views.flatten(0, 1), self.part)


def examples_of(split: Split) -> Examples:
    """Take a split as it is, for a whole network.

    Args:
        split: Normalised images and targets.

    Returns:
        One view of it.
    """
    return Examples(split.inputs.unsqueeze(0), split.targets, "whole")


def training_examples(
    family: Family,
    base: Mapping[str, Tensor],
    dataset: Dataset,
    augmentation: AugmentationParams | None,
    precision: Precision = "float32",
) -> Examples:
    """Compute the features of the training split, once for all runs.

    Args:
        family: Whose trunk.
        base: Parameters by name; the base network is the teacher.
        dataset: Its train split is used.
        augmentation: Random views; None for the images as they are.
        precision: Of the trunk, of the stored features and of the teacher.

    Returns:
        The examples.
    """
    dtype = DTYPES[precision]
    images, part = dataset.images["train"], trunk_part(family)
    teacher = Teacher(family.skeleton(family.base), base, precision)
    if augmentation is None:
        views = [features(family, base, dataset.normalise(images), dtype)]
        return Examples(torch.stack(views), dataset.labels["train"], part, teacher)
    generator = torch.Generator().manual_seed(augmentation.seed)
    views = []
    for _ in progress(range(augmentation.views), "features of the training set", "view"):
        parts = []
        for batch in progress(images.split(TRUNK_BATCH), ""):
            seen = crop_and_flip(
                batch, pad=augmentation.pad, flip=augmentation.flip, generator=generator
            )
            parts.append(features(family, base, dataset.normalise(seen), dtype))
        views.append(torch.cat(parts))
    return Examples(torch.stack(views), dataset.labels["train"], part, teacher)
