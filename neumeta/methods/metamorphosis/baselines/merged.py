"""Networks of the merge: the base network at any width, without labels or training."""

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from neumeta.core.progress import progress
from neumeta.measure.evaluator import Evaluator
from neumeta.measure.results import ResultRow
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.params.merge import MergeParams
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.parameters import load_parameters, parameters_of
from neumeta.models.shrink.shrink import Shrinker
from neumeta.models.traced.plan import Plan, Scope, make_plan


def merged_rows(
    comparison: Comparison, params: MergeParams, points: Sequence[Point]
) -> list[ResultRow]:
    """Score what the merge makes of the base network.

    It sees some training images and no label; they are moved and mirrored where those of the INR
    are augmented.

    Args:
        comparison: Base network and data.
        params: The section `merge`.
        points: Networks no wider than the base.

    Returns:
        One row each, method `merged`.
    """
    family, dataset = comparison.family, comparison.dataset
    evaluator = Evaluator(family, dataset, seen=comparison.points)
    network = load_parameters(family.skeleton(family.base), comparison.base, assign=True)
    train = dataset.images["train"]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(params.seed))
    shrinker = Shrinker.prepare(
        network,
        dataset.normalise(train[order[: params.images].to(train.device)]),
        plan=_plan(family, network, dataset.normalise(train[:2])),
        count=params.images,
        seed=params.seed,
        augment=comparison.params.augmentation is not None,
    )
    rows = []
    for at in progress(points, "merged networks", "width"):
        sizes = family.sizes(at)
        shares = {group.name: Fraction(sizes[group.name], len(group)) for group in family.groups}
        weights = parameters_of(shrinker.at(shares).network)
        rows.append(evaluator.row("merged", at, weights))
    return rows


def _plan(family: Family, network: nn.Module, example: Tensor) -> Plan:
    """The groups of the family; traced on the network itself where it has buffers, to name them."""
    if not any(True for _ in network.buffers()):
        return Plan(family.groups, (), Scope())
    wanted = {group.name for group in family.groups}
    found = make_plan(network, example, scope=Scope(streams=True)).groups
    return Plan(tuple(group for group in found if group.name in wanted), (), Scope())
