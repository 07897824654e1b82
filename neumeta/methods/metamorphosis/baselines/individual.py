"""One ordinary network of one width, trained from fresh or from given weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from neumeta.core.fields import Trains
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.models.family import Family
from neumeta.models.fold import fold_batch_norms
from neumeta.models.parameters import load_parameters, parameters_of
from neumeta.tasks.batch import Batch
from neumeta.training.fit import descend
from neumeta.training.params import Recipe, TeachingParams


def fresh_network(examples: Comparison, width: int, seed: int, trains: Trains) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        examples: Names the family and the base network.
        width: Base width h, channels.
        seed: Seed of the initial weights.
        trains: `generated`: BatchNorm folded away, the tensors that the INR does not make are
            those of the base; `all`: every weight is fresh, with BatchNorms where the family
            has them.

    Returns:
        The network.
    """
    if trains == "all":
        return examples.family.initialised(width, seed)
    network = _folded(examples.family, width, seed)
    frozen = {name: examples.base[name] for name in examples.family.frozen}
    network.load_state_dict(frozen, strict=False)
    return network


def given_network(examples: Comparison, width: int, weights: Mapping[str, Tensor]) -> nn.Module:
    """Build a network of given weights.

    Args:
        examples: Names the family.
        width: Base width h, channels.
        weights: All parameters by name.

    Returns:
        The network, with BatchNorm folded away.
    """
    return load_parameters(_folded(examples.family, width, 0), weights)


def train_network(
    examples: Comparison,
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
        examples: Comparison and losses.
        network: Starting point; trained in place.
        recipe: Epochs or steps, batch size, optimiser and schedule.
        trains: `generated`: all tensors that the INR does not make stay as they are.
        seed: Of the order of the examples and of their views.
        label: Shown in progress lines.
        teaching: Weights of task loss and distillation; None for the task loss alone.

    Returns:
        All parameters by name, with BatchNorm folded.
    """
    bank = examples.bank(trains)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(trains == "all" or name in examples.family.generated)

    def loss(batch: Batch) -> Tensor:
        return examples.loss(
            examples.outputs(network, {}, bank, batch.inputs), batch, bank, teaching
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
    return parameters_of(fold_batch_norms(network))


def _folded(family: Family, width: int, seed: int) -> nn.Module:
    """Fresh weights that depend on the seed only; torch's initialisers know no generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family.build(width)
