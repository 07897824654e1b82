"""Controls: what a network is worth without its generator, which tells a dead one."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from neumeta.core.errors import CollapseError
from neumeta.data.dataset import Split
from neumeta.measure.evaluate import evaluate
from neumeta.models.family import Family
from neumeta.models.parts import Part
from neumeta.tasks.task import Task

SMALLEST_DISTANCE = 0.01
SMALLEST_SHARE = 0.1  # of what is left above the floor, where the morphing part matters little


def bypass_weights(weights: Mapping[str, Tensor], generated: Sequence[str]) -> dict[str, Tensor]:
    """Set the generated tensors to zero: what the network is worth when the INR does nothing.

    Args:
        weights: All parameters by name.
        generated: Names of the tensors that the INR makes.

    Returns:
        New parameters; the others are shared.
    """
    return {n: torch.zeros_like(w) if n in generated else w for n, w in weights.items()}


def idle_weights(
    weights: Mapping[str, Tensor], generated: Sequence[str]
) -> list[dict[str, Tensor]]:
    """What is left of generated weights when a generator is blind to a channel coordinate.

    A dead generator gives the channels of an axis one kernel, and can still make biases. The
    morphing part then says little more than a constant, which can be worth many points more than
    nothing at all.

    Args:
        weights: All parameters by name.
        generated: Names of the tensors that the INR makes.

    Returns:
        New parameters, the others shared: every generated kernel replaced by its mean over the
        out channels, over the in channels, and over both.
    """
    kernels = {name: weights[name] for name in generated if weights[name].ndim > 1}
    return [
        {**weights, **{n: w.mean(axes, keepdim=True).expand_as(w) for n, w in kernels.items()}}
        for axes in ((0,), (1,), (0, 1))
    ]


def bypass_floor(
    family: Family, base: Mapping[str, Tensor], split: Split, task: Task, part: Part
) -> float:
    """Score the base network with all generated tensors at zero.

    Args:
        family: Names the generated tensors.
        base: Parameters by name at the base width.
        split: Examples as that part sees them.
        task: How to score.
        part: The part of the network that takes the split's inputs.

    Returns:
        Accuracy, a fraction.
    """
    network = family.skeleton(family.base)
    weights = bypass_weights(base, family.generated)
    return evaluate(network, weights, split, task, part=part).accuracy


def check_alive(accuracies: Mapping[Any, float], floor: float, examples: int, where: str) -> None:
    """Fail loudly when every width scores like the bypass floor.

    A dead generator gives the same constant answer at all widths. The floor is the best of
    `bypass_weights` and the `idle_weights` of the INR in question. One width above the floor by
    more than three sampling errors (and one point, or a tenth of what is left above the floor) is
    enough to pass.

    Args:
        accuracies: Accuracy by network, fractions.
        floor: The highest of these accuracies.
        examples: Size of the split behind each accuracy.
        where: Names the run in the error.

    Raises:
        CollapseError: If no width stands above the floor.
    """
    error = math.sqrt(max(floor * (1 - floor), 0.0) / examples)
    distance = min(SMALLEST_DISTANCE, SMALLEST_SHARE * (1 - floor))
    threshold = floor + max(distance, 3 * error)
    if all(accuracy <= threshold for accuracy in accuracies.values()):
        best = max(accuracies.values())
        raise CollapseError(
            f"{where}: the generator is dead: best of {len(accuracies)} widths {best:.1%}, bypass "
            f"floor {floor:.1%}; lower train.task.lr or raise train.losses.reconstruction"
        )
