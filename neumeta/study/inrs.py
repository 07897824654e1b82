"""INRs of one network, trained from the orders of every strategy at equal budget."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from neumeta.ablation import Ablation
from neumeta.ablation_parts import Parts, Variant
from neumeta.dataset import Dataset
from neumeta.evaluate import bypass_floor, evaluate
from neumeta.models.family import Family
from neumeta.models.groups import CliqueGroup
from neumeta.params import OrderStrategy, ScoredSplit, StudyInrParams, SweepParams, TrainParams
from neumeta.permute.arrangement import Arrangement
from neumeta.permute.cliques import Group
from neumeta.permute.orders import find_orders
from neumeta.permute.variation import total_variation
from neumeta.study.strategies import STRATEGIES, Strategy
from neumeta.tasks import task_named


@dataclass(frozen=True)
class Ordered:
    """A network whose channels have an order.

    Attributes:
        strategy: Name of the strategy.
        seed: Of its solver.
        weights: Permuted parameters by name.
        family: Its family, with the order of its streams.
        variation: Total variation of the generated tensors, in the orders that the INR sees.
    """

    strategy: OrderStrategy
    seed: int
    weights: Mapping[str, Tensor]
    family: Family
    variation: float


def ordered(
    family: Family, weights: Mapping[str, Tensor], strategy: Strategy, seed: int
) -> Ordered:
    """Order the channels that morph, and the coordinates of the streams between them.

    Channels that morph are permuted. Streams stay as they are, because the frozen layers read
    them, too: only the coordinates of their channels follow an order (as in the stage `permute`).

    Args:
        family: Says which channels morph.
        weights: Parameters by name at the base width.
        strategy: How orders are sought.
        seed: Of the solver.

    Returns:
        The permuted network.
    """
    solve = strategy.solve(seed)
    groups = [_group_of(clique, weights) for clique in family.groups]
    arrangement, _ = find_orders(weights, groups, solve, objective=strategy.objective)
    permuted = arrangement.apply(weights)
    streams = [_group_of(clique, weights) for clique in family.streams]
    _, ranked = find_orders(permuted, streams, solve, objective=strategy.objective)
    orders = {stream.name: list(stream.order) for stream in ranked}
    seen = Arrangement.of_orders(streams, orders, permuted).apply(permuted)
    return Ordered(
        strategy.name,
        seed,
        permuted,
        family.with_stream_orders(orders),
        total_variation({name: seen[name] for name in family.generated}).sum,
    )


def _group_of(clique: CliqueGroup, weights: Mapping[str, Tensor]) -> Group:
    tensor, axis = clique.members[0]
    return Group.of_axes(clique.name, clique.members, weights[tensor].shape[axis])


def train_inrs(
    family: Family,
    weights: Mapping[str, Tensor],
    dataset: Dataset,
    study: StudyInrParams,
    train: TrainParams,
    sweep: SweepParams,
    folder: Path,
    inputs: Sequence[str | Path],
) -> Iterator[dict[str, Any]]:
    """Train and score one INR per strategy and seed; what is there already is not trained again.

    Every seed is that of the solver and of the INR. A seed whose order is that of an earlier one
    shares its frozen features.

    Args:
        family: The family that morphs.
        weights: Parameters of the base network by name.
        dataset: Data of the training and of the scores.
        study: Widths, seeds and split.
        train: Parameters of the training.
        sweep: Draws, their seed, and precision.
        folder: Where finished parts lie.
        inputs: Files that every result depends on.

    Yields:
        Rows, one per strategy, seed and width.
    """
    for strategy in STRATEGIES:
        measured: list[tuple[Ordered, Ablation, Parts]] = []
        for seed in study.seeds:
            found = ordered(family, weights, strategy, seed)
            kept = next((m for m in measured if _alike(m[0], found)), None)
            if kept is None:
                ablation = Ablation(found.family, found.weights, dataset)
                kept = found, ablation, Parts(folder / f"{strategy.name}-{seed}", inputs)
                measured.append(kept)
            _, ablation, parts = kept
            variant = Variant(
                train=train,
                seed=seed,
                widths=study.widths,
                draws=sweep.draws,
                noise=train.sample_noise,
                sample_seed=sweep.seed,
                split=study.split,
                precision=sweep.precision,
            )
            ablation.measure([variant], parts)
            part = parts.read(variant)
            assert part is not None, "it was measured just now"
            for width, accuracy in zip(study.widths, part.accuracies, strict=True):
                yield {
                    "strategy": strategy.name,
                    "seed": seed,
                    "width": width,
                    "seen": width in train.widths.values(),
                    "accuracy": accuracy,
                    "collapsed": part.collapsed,
                    "variation": found.variation,
                    "seconds": part.seconds,
                }


def _alike(one: Ordered, other: Ordered) -> bool:
    return one.family.settings == other.family.settings and all(
        bool((value == other.weights[name]).all()) for name, value in one.weights.items()
    )


def controls(
    family: Family, weights: Mapping[str, Tensor], dataset: Dataset, split: ScoredSplit
) -> dict[str, float]:
    """Score what every INR stands between.

    Args:
        family: The family that morphs.
        weights: Parameters of the base network by name.
        dataset: Its data.
        split: What to score on.

    Returns:
        Accuracy of the base network, and of the base network with all generated tensors at zero.
    """
    examples, task = dataset.split(split), task_named(dataset.task)
    network = family.skeleton(family.base_width)
    return {
        "base": evaluate(network, weights, examples, task).accuracy,
        "bypass": bypass_floor(family, weights, examples, task, "whole"),
    }
