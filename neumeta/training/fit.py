"""Gradient descent by a recipe: the base network, the individual networks, all trained peers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neumeta.core.progress import progress
from neumeta.data.dataset import Split
from neumeta.models.parameters import parameters_of
from neumeta.tasks.batch import Batch
from neumeta.tasks.task import Task
from neumeta.training.examples import Examples, examples_of
from neumeta.training.optimiser import make_optimiser
from neumeta.training.params import Recipe
from neumeta.training.schedule import rate_at


@dataclass(frozen=True)
class EpochRecord:
    """One line of a loss curve.

    Attributes:
        epoch: Counted from 1; the last one may be cut short by a recipe of steps.
        loss: Mean training loss over the epoch.
        val_accuracy: On the validation split after the epoch; None where not asked for.
    """

    epoch: int
    loss: float
    val_accuracy: float | None


def descend(
    parameters: Sequence[nn.Parameter],
    train: Examples,
    recipe: Recipe,
    loss: Callable[[Batch], Tensor],
    *,
    generator: torch.Generator,
    label: str,
    validate: Callable[[], float] | None = None,
) -> list[EpochRecord]:
    """Minimise a loss over batches of the training set.

    Args:
        parameters: What is trained, in place.
        train: Training examples; every epoch takes each of them once, in a new order.
        recipe: Epochs or steps, batch size, optimiser and schedule.
        loss: Mean over a batch, a scalar.
        generator: Source of the order and of the views.
        label: Shown in progress lines.
        validate: Called after every epoch; None for none.

    Returns:
        The curve.
    """
    per_epoch = -(-len(train) // recipe.batch_size)
    total = recipe.steps or (recipe.epochs or 0) * per_epoch
    optimiser = make_optimiser(parameters, recipe.optimiser)
    curve = []
    step = 0
    for epoch in progress(range(1, -(-total // per_epoch) + 1), label, unit="epoch"):
        summed, seen = 0.0, 0
        order = torch.randperm(len(train), generator=generator).split(recipe.batch_size)
        for index in progress(order[: total - step], ""):
            for group in optimiser.param_groups:
                group["lr"] = rate_at(step, total, recipe.lr, recipe.schedule)
            rows = train.rows(index, generator)
            optimiser.zero_grad()
            value = loss(train.take(rows))
            value.backward()
            optimiser.step()
            summed += value.item() * len(index)
            seen += len(index)
            step += 1
        curve.append(EpochRecord(epoch, summed / seen, validate() if validate else None))
    return curve


def fit(
    network: nn.Module,
    train: Split,
    task: Task,
    recipe: Recipe,
    *,
    generator: torch.Generator,
    validate: Callable[[nn.Module], float] | None = None,
    label: str = "fit",
) -> tuple[dict[str, Tensor], list[EpochRecord]]:
    """Train a whole network by a recipe.

    Args:
        network: Starting point; trained in place.
        train: Training examples.
        task: The loss.
        recipe: Epochs or steps, batch size, optimiser and schedule.
        generator: Source of the order of examples.
        validate: Called after every epoch with the network, in evaluation mode, for the curve's
            validation accuracy; None for none.
        label: Shown in progress lines.

    Returns:
        The trained parameters by name, and the curve.
    """

    def loss(batch: Batch) -> Tensor:
        return task.loss(network(batch.inputs), batch)

    def validated(score: Callable[[nn.Module], float]) -> float:
        network.eval()
        value = score(network)
        network.train()
        return value

    network.train()
    curve = descend(
        list(network.parameters()),
        examples_of(train),
        recipe,
        loss,
        generator=generator,
        label=label,
        validate=None if validate is None else lambda: validated(validate),
    )
    network.eval()
    return parameters_of(network), curve
