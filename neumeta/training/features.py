"""What the morphing part of a network sees: outputs of the frozen trunk, computed once.

A trunk that never changes needs neither gradients nor a second pass over the same image. Where a
family has no trunk, the features are the normalised images themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neumeta.core.fields import Precision
from neumeta.core.progress import progress
from neumeta.data.augmentation import crop_and_flip
from neumeta.data.dataset import Dataset, Split
from neumeta.data.params import AugmentationParams
from neumeta.models.family import Family
from neumeta.models.parts import Part, apply_part

TRUNK_BATCH = 100
TEACHER_BATCH = 1000
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Bank:
    """Training examples as the morphing part sees them, in one or several augmented views.

    Attributes:
        inputs: Shape (views, n, ...).
        targets: What the dataset gives, shape (n, ...).
        part: The part of the network that takes them.
    """

    inputs: Tensor
    targets: Tensor
    part: Part

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
        views = len(self.inputs)
        if views == 1:
            return index
        view = torch.randint(views, index.shape, generator=generator)
        return view * len(self) + index

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Fetch examples.

        Args:
            rows: What `rows` gave, shape (b,).

        Returns:
            Inputs of shape (b, ...), targets of shape (b, ...).
        """
        return self.inputs.flatten(0, 1)[rows], self.targets[rows % len(self)]


def products_in(precision: Precision) -> torch.autocast:
    """Choose the type of matrix products.

    Args:
        precision: As the params name it.

    Returns:
        A context in which they run in that type.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")


def outputs_on(
    bank: Bank, network: nn.Module, weights: Mapping[str, Tensor], precision: Precision
) -> Tensor:
    """Apply a network to all views of the training examples: what a teacher says.

    Args:
        bank: The examples.
        network: The architecture.
        weights: All parameters by name.
        precision: Of the matrix products.

    Returns:
        Float32, shape (views * n, ...), without gradients.
    """
    with torch.no_grad(), products_in(precision):
        parts = [
            apply_part(network, weights, inputs, bank.part).float()
            for inputs in progress(
                bank.inputs.flatten(0, 1).split(TEACHER_BATCH), "answers of the teacher"
            )
        ]
    return torch.cat(parts)


def trunk_part(family: Family) -> Part:
    """Tell what takes the features.

    Args:
        family: Any family.

    Returns:
        `tail` where the family has a trunk, else `whole`.
    """
    return "tail" if family.has_trunk else "whole"


def features(
    family: Family,
    base: Mapping[str, Tensor],
    inputs: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Apply the trunk.

    Args:
        family: Whose trunk.
        base: Parameters by name; those of the trunk are used.
        inputs: Normalised images, shape (n, channels, height, width).
        dtype: Of the computation and the result.

    Returns:
        Features, shape (n, ...), without gradients; the inputs, where there is no trunk.
    """
    if not family.has_trunk:
        return inputs.to(dtype)
    network = family.skeleton(family.base)
    weights = {name: value.to(dtype) for name, value in base.items()}
    with torch.inference_mode():
        parts = [
            apply_part(
                network,
                weights,
                batch.to(dtype).contiguous(memory_format=torch.channels_last),
                "trunk",
            ).contiguous()
            for batch in progress(inputs.split(TRUNK_BATCH), "features")
        ]
        joined = torch.cat(parts)
    return joined.clone()  # an ordinary tensor again


def feature_split(family: Family, base: Mapping[str, Tensor], split: Split) -> Split:
    """Apply the trunk to a split for evaluation, in float32.

    Args:
        family: Whose trunk.
        base: Parameters by name.
        split: Normalised images and targets.

    Returns:
        Features and the same targets.
    """
    return Split(features(family, base, split.inputs), split.targets)


def training_bank(
    family: Family,
    base: Mapping[str, Tensor],
    dataset: Dataset,
    augmentation: AugmentationParams | None,
    precision: Precision = "float32",
) -> Bank:
    """Compute the features of the training split, once for all runs.

    Args:
        family: Whose trunk.
        base: Parameters by name.
        dataset: Its train split is used.
        augmentation: Random views; None for the images as they are.
        precision: Of the trunk and of the stored features.

    Returns:
        The bank.
    """
    dtype = DTYPES[precision]
    images, part = dataset.images["train"], trunk_part(family)
    if augmentation is None:
        views = [features(family, base, dataset.normalise(images), dtype)]
        return Bank(torch.stack(views), dataset.labels["train"], part)
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
    return Bank(torch.stack(views), dataset.labels["train"], part)
