"""What the morphing part of a network sees: outputs of the frozen trunk, computed once.

A trunk that never changes needs neither gradients nor a second pass over the same image. Where a
family has no trunk, the features are the normalised images themselves.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from neumeta.core.fields import Precision
from neumeta.core.progress import progress
from neumeta.data.dataset import Split
from neumeta.models.family import Family
from neumeta.models.parts import Part, apply_part

TRUNK_BATCH = 100
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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
