"""Training of one ordinary network: the base, the individual baselines, the fine-tuning."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neumeta.dataset import Split
from neumeta.evaluate import evaluate
from neumeta.models.parameters import parameters_of
from neumeta.optimiser import make_optimiser
from neumeta.params import Recipe
from neumeta.progress import progress
from neumeta.schedule import rate_at
from neumeta.tasks import Task


@dataclass(frozen=True)
class EpochRecord:
    """One line of a loss curve.

    Attributes:
        epoch: Counted from 1.
        loss: Mean training loss over the epoch.
        val_accuracy: On the validation split after the epoch; None where not asked for.
    """

    epoch: int
    loss: float
    val_accuracy: float | None


def fit(
    network: nn.Module,
    train: Split,
    task: Task,
    recipe: Recipe,
    *,
    generator: torch.Generator,
    val: Split | None = None,
    label: str = "fit",
) -> tuple[dict[str, Tensor], list[EpochRecord]]:
    """Train a network by a recipe.

    Args:
        network: Starting point; trained in place.
        train: Training examples.
        task: The loss.
        recipe: Epochs, batch size, optimiser and schedule.
        generator: Source of the order of examples.
        val: Examples of the curve's validation accuracy; None for none.
        label: Shown in progress lines.

    Returns:
        The trained parameters by name, and the curve.
    """
    steps_per_epoch = -(-len(train) // recipe.batch_size)
    total = recipe.epochs * steps_per_epoch
    optimiser = make_optimiser(network.parameters(), recipe.optimiser)
    network.train()
    curve = []
    step = 0
    for epoch in progress(range(1, recipe.epochs + 1), label, unit="epoch"):
        summed = 0.0
        for batch in torch.randperm(len(train), generator=generator).split(recipe.batch_size):
            for group in optimiser.param_groups:
                group["lr"] = rate_at(step, total, recipe.lr, recipe.schedule)
            optimiser.zero_grad()
            loss = task.loss(network(train.inputs[batch]), train.targets[batch])
            loss.backward()
            optimiser.step()
            summed += loss.item() * len(batch)
            step += 1
        accuracy = None
        if val is not None:
            accuracy = evaluate(network, parameters_of(network), val, task).accuracy
        curve.append(EpochRecord(epoch, summed / len(train), accuracy))
    network.eval()
    return parameters_of(network), curve
