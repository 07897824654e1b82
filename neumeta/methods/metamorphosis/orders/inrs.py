"""INRs of one network, trained from the orders of every strategy at equal budget."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from neumeta.core.cache_key import state_key
from neumeta.core.fields import ScoredSplit
from neumeta.data.dataset import Dataset
from neumeta.measure.controls import bypass_floor
from neumeta.measure.evaluate import evaluate
from neumeta.methods.metamorphosis.ablation import Ablation
from neumeta.methods.metamorphosis.ablation_parts import Part, Parts, Variant
from neumeta.methods.metamorphosis.orders.strategies import STRATEGIES, Strategy
from neumeta.methods.metamorphosis.params.study import OrderStrategy, StudyInrParams
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams
from neumeta.models.family import Family
from neumeta.permute.arrangement import Arrangement
from neumeta.permute.morphing import morphing_groups
from neumeta.permute.orders import find_orders
from neumeta.permute.variation import total_variation
from neumeta.tasks.registry import task_named


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

    def key(self) -> str:
        """Name the order by what it makes of the network.

        Returns:
            16 hexadecimal digits; equal for equal weights and orders of streams.
        """
        weights = {
            name: hashlib.sha256(value.numpy().tobytes()).hexdigest()
            for name, value in self.weights.items()
        }
        return state_key([weights, self.family.settings], [])


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
    groups = morphing_groups(family)
    arrangement, _ = find_orders(weights, groups, solve, objective=strategy.objective)
    permuted = arrangement.apply(weights)
    _, ranked = find_orders(permuted, family.streams, solve, objective=strategy.objective)
    orders = {stream.name: list(stream.order) for stream in ranked}
    seen = Arrangement.of_orders(family.streams, orders, permuted).apply(permuted)
    return Ordered(
        strategy.name,
        seed,
        permuted,
        family.with_stream_orders(orders),
        total_variation({name: seen[name] for name in family.generated}).sum,
    )


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

    Every seed is that of the solver and of the INR. Seeds with the same order share its frozen
    features.

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
        found = {seed: ordered(family, weights, strategy, seed) for seed in study.seeds}
        keys = {seed: one.key() for seed, one in found.items()}
        scored: dict[int, Part] = {}
        for key in dict.fromkeys(keys.values()):
            seeds = [seed for seed in study.seeds if keys[seed] == key]
            one = found[seeds[0]]
            ablation, parts = (
                Ablation(one.family, one.weights, dataset),
                Parts(folder / key, inputs),
            )
            variants = {seed: _variant(study, train, sweep, seed) for seed in seeds}
            ablation.measure(variants.values(), parts)
            del ablation  # with its features, before those of the next order are made
            for seed, variant in variants.items():
                part = parts.read(variant)
                assert part is not None, "it was measured just now"
                scored[seed] = part
        for seed in study.seeds:
            for width, accuracy in zip(study.widths, scored[seed].accuracies, strict=True):
                yield {
                    "strategy": strategy.name,
                    "seed": seed,
                    "width": width,
                    "seen": width in train.widths.values(),
                    "accuracy": accuracy,
                    "collapsed": scored[seed].collapsed,
                    "variation": found[seed].variation,
                    "seconds": scored[seed].seconds,
                }


def _variant(study: StudyInrParams, train: TrainParams, sweep: SweepParams, seed: int) -> Variant:
    return Variant(
        train=train,
        seed=seed,
        widths=study.widths,
        draws=sweep.draws,
        noise=train.sample_noise,
        sample_seed=sweep.seed,
        split=study.split,
        precision=sweep.precision,
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
    network = family.skeleton(family.base)
    return {
        "base": evaluate(network, weights, examples, task).accuracy,
        "bypass": bypass_floor(family, weights, examples, task, "whole"),
    }
