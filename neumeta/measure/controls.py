"""Controls: what a network is worth without its generator, which tells a dead one."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from neumeta.core.errors import CollapseError

SMALLEST_DISTANCE = 0.01
SMALLEST_SHARE = 0.1  # of what is left above the floor, where the morphing part matters little

T = TypeVar("T")


def zeroed(weights: Mapping[str, Tensor], generated: Sequence[str]) -> dict[str, Tensor]:
    """Set the generated tensors to zero: what the network is worth when the generator does nothing.

    The tables call it `bypass`. Its score does not depend on the width, as nothing is left of it.

    Args:
        weights: All parameters by name.
        generated: Names of the tensors that the generator makes.

    Returns:
        New parameters; the others are shared.
    """
    return {n: torch.zeros_like(w) if n in generated else w for n, w in weights.items()}


def channel_constant(
    weights: Mapping[str, Tensor], generated: Sequence[str]
) -> list[dict[str, Tensor]]:
    """What is left of generated weights when a generator is blind to a channel coordinate.

    A dead generator gives the channels of an axis one kernel, and can still make biases. The
    morphing part then says little more than a constant, which can be worth many points more than
    nothing at all.

    Args:
        weights: All parameters by name.
        generated: Names of the tensors that the generator makes.

    Returns:
        New parameters, the others shared: every generated kernel replaced by its mean over the
        out channels, over the in channels, and over both.
    """
    kernels = {name: weights[name] for name in generated if weights[name].ndim > 1}
    return [
        {**weights, **{n: w.mean(axes, keepdim=True).expand_as(w) for n, w in kernels.items()}}
        for axes in ((0,), (1,), (0, 1))
    ]


def floors(
    weights: Mapping[str, Tensor],
    generated: Sequence[str],
    score: Callable[[Mapping[str, Tensor]], T],
) -> tuple[T, ...]:
    """Score what is left of a network when its generator is dead, in every way it can be.

    Args:
        weights: All parameters by name, as the generator makes them at one width.
        generated: Names of the tensors that the generator makes.
        score: Of a network of that width, by its parameters.

    Returns:
        The scores of `zeroed` and of each `channel_constant`; the best of them is the floor.
    """
    dead = (zeroed(weights, generated), *channel_constant(weights, generated))
    return tuple(score(left) for left in dead)


def least_alive(floor: float, examples: int) -> float:
    """Say what a network must score to stand above the floor.

    Args:
        floor: The highest score of a dead generator.
        examples: Size of the split behind it.

    Returns:
        More than three sampling errors above it, and more than one point or a tenth of what is
        left above it.
    """
    error = math.sqrt(max(floor * (1 - floor), 0.0) / examples)
    distance = min(SMALLEST_DISTANCE, SMALLEST_SHARE * (1 - floor))
    return floor + max(distance, 3 * error)


def check_alive(accuracies: Mapping[Any, float], floor: float, examples: int, where: str) -> None:
    """Fail loudly when every width scores like the floor.

    A dead generator gives the same constant answer at all widths. The floor is the best of
    `floors`, for the generator in question. One width above it by more than three sampling errors
    (and one point, or a tenth of what is left above the floor) is enough to pass.

    Args:
        accuracies: Accuracy by network, or another share of examples; fractions.
        floor: The highest of these of a dead generator.
        examples: Size of the split behind each accuracy.
        where: Names the run in the error.

    Raises:
        CollapseError: If no width stands above the floor.
    """
    threshold = least_alive(floor, examples)
    if all(accuracy <= threshold for accuracy in accuracies.values()):
        best = max(accuracies.values())
        raise CollapseError(
            f"{where}: the generator is dead: best of {len(accuracies)} widths {best:.1%}, bypass "
            f"floor {floor:.1%}; lower train.task.lr or raise train.losses.reconstruction"
        )
