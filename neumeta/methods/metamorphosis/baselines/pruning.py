"""How much each channel of the base network matters, by the usual criteria of pruning.

A channel is a unit of a clique group: slices of several tensors. Its score is the sum of the
importance of all their entries, weights and biases, without normalisation; scores are compared
within a group only. These are the scores of torch-pruning, bit for bit, on the groups of our trace.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.func import grad, vmap

from neumeta.core.device import drawn
from neumeta.core.fields import Criterion
from neumeta.core.progress import progress
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.params.baselines import ScoringParams
from neumeta.models.parts import apply_part
from neumeta.tasks.batch import Batch

Scores = dict[str, Tensor]
EXAMPLES_AT_ONCE = 16  # of the per-example gradients; bounds the memory


def channel_scores(
    comparison: Comparison, criterion: Criterion, scoring: ScoringParams | None, seed: int = 0
) -> Scores:
    """Score the channels of every clique group of the base network.

    `random`: uniform. `l1`, `l2`: sum of |w| or w^2. `taylor`: sum of |w g|, with g the gradient
    of the mean loss (Molchanov et al. 2019). `hessian`: sum of w^2 h, with h the mean square of
    the gradients of single examples (LeCun et al. 1989, "Optimal brain damage").

    Args:
        comparison: Base network and training examples.
        criterion: Which score.
        scoring: Examples of the gradients; only for taylor and hessian.
        seed: Of criterion random.

    Returns:
        Scores per group name, shape (channels,); higher matters more.
    """
    if criterion == "random":
        generator = torch.Generator().manual_seed(seed)
        sampled = partial(drawn, torch.rand, generator=generator, device=comparison.device)
        return {group.name: sampled(len(group)) for group in comparison.groups}
    values = _importance(comparison, criterion, scoring)
    scores = {}
    for group in comparison.groups:
        total = torch.zeros(len(group), device=comparison.device)
        for member in group.members:
            slices = values[member.tensor].movedim(member.axis, 0)
            each = slices.flatten(1).sum(1) if slices.ndim > 1 else slices
            total += each[torch.tensor(member.places, device=each.device)].sum(1)
        scores[group.name] = total
    return scores


def _importance(
    comparison: Comparison, criterion: Criterion, scoring: ScoringParams | None
) -> dict[str, Tensor]:
    """Importance of every entry of the generated tensors."""
    weights = {name: comparison.base[name] for name in comparison.family.generated}
    if criterion == "l1":
        return {name: weight.abs() for name, weight in weights.items()}
    if criterion == "l2":
        return {name: weight.square() for name, weight in weights.items()}
    assert scoring is not None
    found = _gradients(comparison, criterion, scoring)
    if criterion == "taylor":
        return {name: (weight * found[name]).abs() for name, weight in weights.items()}
    return {name: weight.square() * found[name] for name, weight in weights.items()}


def _gradients(comparison: Comparison, criterion: Criterion, scoring: ScoringParams) -> Scores:
    """Mean gradient, or mean square of those of single examples, summed over batches."""
    measure = _mean_gradient if criterion == "taylor" else _mean_square_gradient
    bank = comparison.bank("generated")
    network = comparison.skeletons.at(comparison.family.base)
    generated = {name: comparison.base[name] for name in comparison.family.generated}

    def loss(weights: Scores, inputs: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        outputs = apply_part(network, {**comparison.base, **weights}, inputs, bank.part)
        return comparison.task.loss(outputs, Batch(inputs, targets, rows))

    generator = torch.Generator().manual_seed(scoring.seed)
    found: Scores = {}
    for _ in progress(range(scoring.batches), f"{criterion} scores"):
        index = torch.randint(len(bank), (scoring.batch_size,), generator=generator)
        drawn = bank.take(bank.rows(index, generator))
        batch = replace(drawn, inputs=drawn.inputs.float())
        for name, value in measure(loss, generated, batch).items():
            found[name] = found[name] + value if name in found else value
    return found


def _mean_gradient(loss: Callable[..., Tensor], weights: Scores, batch: Batch) -> Scores:
    """Gradient of the mean loss of a batch."""
    found: Scores = grad(loss)(weights, batch.inputs, batch.targets, batch.rows)
    return found


def _mean_square_gradient(loss: Callable[..., Tensor], weights: Scores, batch: Batch) -> Scores:
    """Mean over the examples of a batch of the squared gradient of each one's loss."""

    def single(*example: Tensor) -> Scores:
        found: Scores = grad(loss)(weights, *(value.unsqueeze(0) for value in example))
        return found

    sums = {name: torch.zeros_like(value) for name, value in weights.items()}
    columns = (batch.inputs, batch.targets, batch.rows)
    for some in zip(*(column.split(EXAMPLES_AT_ONCE) for column in columns), strict=True):
        for name, value in vmap(single)(*some).items():
            sums[name] += value.square().sum(0)
    return {name: value / len(batch) for name, value in sums.items()}
