"""One ordinary network of one point, trained from fresh or from given weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from neumeta.core.fields import Trains
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.models.axes import Point
from neumeta.models.parameters import load_parameters, parameters_of
from neumeta.models.traced.norms import without_statistics
from neumeta.tasks.batch import Batch
from neumeta.training.fit import descend
from neumeta.training.params import Recipe, TeachingParams


def fresh_network(comparison: Comparison, at: Point, seed: int, trains: Trains) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        comparison: Names the family and the base network.
        at: Which network.
        seed: Seed of the initial weights.
        trains: `generated`: BatchNorm folded away, the tensors that the INR does not make are
            those of the base; `all`: every weight is fresh, with BatchNorms where the family
            has them.

    Returns:
        The network.
    """
    network = comparison.family.initialised(at, seed, norm=trains == "all").to(comparison.device)
    if trains == "all":
        return network
    frozen = {name: comparison.base[name] for name in comparison.family.frozen}
    network.load_state_dict(frozen, strict=False)
    return network


def given_network(comparison: Comparison, at: Point, weights: Mapping[str, Tensor]) -> nn.Module:
    """Build a network of given weights.

    Args:
        comparison: Names the family.
        at: Which network.
        weights: All parameters by name.

    Returns:
        The network, with BatchNorm folded away.
    """
    network = comparison.family.initialised(at, seed=0, norm=False).to(comparison.device)
    return load_parameters(network, weights)


def train_network(
    comparison: Comparison,
    network: nn.Module,
    recipe: Recipe,
    trains: Trains,
    *,
    seed: int,
    label: str,
    teaching: TeachingParams | None = None,
) -> dict[str, Tensor]:
    """Train one network.

    Args:
        comparison: Examples and losses.
        network: Starting point; trained in place.
        recipe: Epochs or steps, batch size, optimiser and schedule.
        trains: `generated`: all tensors that the INR does not make stay as they are.
        seed: Of the order of the examples and of their views.
        label: Shown in progress lines.
        teaching: Weights of task loss and distillation; None for the task loss alone.

    Returns:
        All parameters by name, with BatchNorm folded.
    """
    bank = comparison.bank(trains)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(trains == "all" or name in comparison.family.generated)

    def loss(batch: Batch) -> Tensor:
        return comparison.loss(
            comparison.outputs(network, {}, bank, batch.inputs), batch, bank, teaching
        )

    network.train()
    descend(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        bank,
        recipe,
        loss,
        generator=torch.Generator().manual_seed(seed),
        label=label,
    )
    network.eval()
    return parameters_of(without_statistics(network))
