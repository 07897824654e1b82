"""Scoring a network on a whole split."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from neumeta.data.dataset import Split
from neumeta.models.parameters import parameters_of
from neumeta.models.parts import Part, apply_part
from neumeta.tasks.task import Score, Task

LARGEST_BATCH = 1000
VALUES_PER_BATCH = 1 << 20  # inputs of more values than the caches hold are read twice as slowly


def evaluate(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    split: Split,
    task: Task,
    batch_size: int | None = None,
    part: Part = "whole",
) -> Score:
    """Score a network with the given weights on a whole split, without gradients.

    Args:
        network: The architecture; its own parameters are not used, so it may be on meta.
        weights: All parameters by name.
        split: Examples.
        task: How to score.
        batch_size: Examples per forward pass; does not change the sums beyond rounding. None
            takes as many as hold about a million input values, at most a thousand.
        part: The part of the network that takes the split's inputs.

    Returns:
        Sums over the split.
    """
    total = Score(0.0, 0.0, 0)
    size = batch_size or _batch_size(split.inputs)
    with torch.no_grad():
        for inputs, targets in zip(
            split.inputs.split(size), split.targets.split(size), strict=True
        ):
            total += task.score(apply_part(network, weights, inputs, part).float(), targets)
    return total


def accuracy_on(split: Split, task: Task) -> Callable[[nn.Module], float]:
    """Make the validation of a training: the accuracy of a network's own weights on a split.

    Args:
        split: Examples.
        task: How to score.

    Returns:
        Maps a network, which keeps its mode, to a fraction, 0 to 1.
    """
    return lambda network: evaluate(network, parameters_of(network), split, task).accuracy


def _batch_size(inputs: Tensor) -> int:
    values = math.prod(inputs.shape[1:])
    return max(1, min(LARGEST_BATCH, VALUES_PER_BATCH // values))
