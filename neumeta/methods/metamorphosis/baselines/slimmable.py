"""Universally slimmable training: one set of weights, whose first h channels are the width h.

Source: Yu and Huang 2019, "Universally slimmable networks and improved training techniques". Every
step trains the smallest width, the largest and some random ones between (the sandwich rule); the
largest learns from the targets, the others from its outputs (in-place distillation). The weights
start from the base network with the channels of every group in falling order of their L1 norm.
The paper keeps BatchNorm and measures its statistics anew for each width. Here no norm is left in
the part that morphs, as for every other method; instead the weights may be rescaled with the
fan-in.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from neumeta.methods.metamorphosis.baselines.channels import leading_channels, take_channels
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.baselines.pruning import channel_scores
from neumeta.methods.metamorphosis.params.baselines import SlimmableParams
from neumeta.models.axes import Point
from neumeta.tasks.batch import Batch
from neumeta.training.fit import descend


def ranked_base(comparison: Comparison) -> dict[str, Tensor]:
    """Order the channels of the base network by importance; its function stays the same.

    Args:
        comparison: Names the base network.

    Returns:
        All parameters by name, the channel with the largest L1 norm first in each group.
    """
    scores = channel_scores(comparison, "l1", None)
    ranks = {name: score.argsort(descending=True, stable=True) for name, score in scores.items()}
    return take_channels(comparison.base, comparison.groups, ranks)


def slim(
    comparison: Comparison, shared: Mapping[str, Tensor], at: Point, rescale: bool
) -> dict[str, Tensor]:
    """Take one network out of the shared weights.

    Args:
        comparison: Names the family.
        shared: All parameters by name at the base point.
        at: Which network; none larger than the base.
        rescale: Multiply weights by the ratio of the fan-ins, base to h.

    Returns:
        All parameters by name.
    """
    taken = leading_channels(shared, comparison.family, at, comparison.skeletons.shapes(at))
    if rescale:
        for name, value in taken.items():
            if 1 in comparison.family.morphing_axes[name]:
                taken[name] = value * (shared[name].shape[1] / value.shape[1])
    return {**shared, **taken}


def train_slimmable(
    comparison: Comparison, params: SlimmableParams, *, seed: int, label: str
) -> dict[str, Tensor]:
    """Train the shared weights.

    Args:
        comparison: Examples, losses, and the networks to train.
        params: The section `slimmable`.
        seed: Of the order of the examples, of their views, and of the random networks.
        label: Shown in progress lines.

    Returns:
        All parameters by name at the base point, for `slim`.
    """
    start = ranked_base(comparison)
    trained = {name: nn.Parameter(start[name].clone()) for name in comparison.family.generated}
    shared = {**start, **trained}
    bank = comparison.bank("generated")
    generator = torch.Generator().manual_seed(seed)
    points = comparison.points  # ascending

    def outputs(at: Point, batch: Batch) -> Tensor:
        weights = slim(comparison, shared, at, params.rescale)
        return comparison.outputs(comparison.skeletons.at(at), weights, bank, batch.inputs)

    def loss(batch: Batch) -> Tensor:
        drawn = torch.randint(len(points), (params.random_widths,), generator=generator).tolist()
        largest = outputs(points[-1], batch)
        terms = [comparison.loss(largest, batch, bank)]
        for at in (points[0], *(points[index] for index in drawn)):
            student = outputs(at, batch)
            terms.append(comparison.task.distance(student, largest.detach(), params.temperature))
        return torch.stack(terms).sum()

    descend(list(trained.values()), bank, params.recipe, loss, generator=generator, label=label)
    return {name: value.detach() for name, value in shared.items()}
