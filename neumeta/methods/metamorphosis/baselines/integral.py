"""Trained interpolation, after integral neural networks.

Source: Solodskikh et al. 2023, "Integral neural networks": weights are a continuous function along
the channels, given by trainable values at knots and an interpolation between them; every step
samples it at another number of places. Here the knots are the permuted base weights, one per
channel, the interpolation is linear as in `neumeta.models.resampling`, and the places are those of
the widths that the INR is trained at. At the base width the knots themselves are the network.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.params.baselines import IntegralParams
from neumeta.models.axes import Point
from neumeta.models.resampling import Origin
from neumeta.tasks.batch import Batch
from neumeta.training.fit import descend


def sampled(
    comparison: Comparison, knots: Mapping[str, Tensor], at: Point, origin: Origin
) -> dict[str, Tensor]:
    """Read one network.

    Args:
        comparison: Names the family.
        knots: All parameters by name at the base point.
        at: Which network.
        origin: Where the channels lie; see `neumeta.models.resampling.resample`.

    Returns:
        All parameters by name.
    """
    return {**knots, **comparison.family.resample(knots, at, origin)}


def train_integral(
    comparison: Comparison, params: IntegralParams, origin: Origin, *, seed: int, label: str
) -> dict[str, Tensor]:
    """Train the knots.

    Args:
        comparison: Examples, losses, and the networks to train.
        params: The section `integral`.
        origin: See `sampled`.
        seed: Of the order of the examples, of their views, and of the networks.
        label: Shown in progress lines.

    Returns:
        All parameters by name at the base point, for `sampled`.
    """
    trained = {
        name: nn.Parameter(comparison.base[name].clone()) for name in comparison.family.generated
    }
    knots = {**comparison.base, **trained}
    bank = comparison.bank("generated")
    generator = torch.Generator().manual_seed(seed)

    def loss(batch: Batch) -> Tensor:
        place = int(torch.randint(len(comparison.points), (), generator=generator))
        at = comparison.points[place]
        weights = sampled(comparison, knots, at, origin)
        outputs = comparison.outputs(comparison.skeletons.at(at), weights, bank, batch.inputs)
        return comparison.loss(outputs, batch, bank, params.losses)

    descend(list(trained.values()), bank, params.recipe, loss, generator=generator, label=label)
    return {name: value.detach() for name, value in knots.items()}
