"""INRs of one network, trained from the orders of every strategy at equal budget."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from neumeta.core.cache_key import cache_key
from neumeta.core.fields import ScoredSplit
from neumeta.core.jobs import Finished, Job, JobStore
from neumeta.core.progress import progress
from neumeta.data.dataset import Dataset
from neumeta.measure.controls import zeroed
from neumeta.measure.evaluator import Evaluator
from neumeta.methods.metamorphosis.ablation import Ablation
from neumeta.methods.metamorphosis.orders.strategies import STRATEGIES, Strategy
from neumeta.methods.metamorphosis.params.study import OrderStrategy, StudyInrParams
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams
from neumeta.methods.metamorphosis.variants import Outcome, Variant
from neumeta.models.family import Family
from neumeta.models.parameters import moved
from neumeta.permute.orders import find_orders
from neumeta.permute.variation import total_variation
from neumeta.tracing.arrangement import Arrangement


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
        return cache_key([weights, self.family.settings])


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
    groups = family.groups
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


class OrderStudy:
    """The INRs of one network: one per strategy and seed, which is that of solver and training."""

    def __init__(
        self,
        family: Family,
        weights: Mapping[str, Tensor],
        dataset: Dataset,
        study: StudyInrParams,
        train: TrainParams,
        sweep: SweepParams,
    ) -> None:
        """Order the network by every strategy and seed.

        Args:
            family: The family that morphs.
            weights: Parameters of the base network by name, on the CPU, where orders are sought.
            dataset: Data of the training and of the scores; INRs are trained where it lies.
            study: Widths, seeds and split.
            train: Parameters of the training.
            sweep: Draws, their seed, and precision.
        """
        self.dataset, self.study, self.train, self.sweep = dataset, study, train, sweep
        plan = [(strategy, seed) for strategy in STRATEGIES for seed in study.seeds]
        self.networks = [
            ordered(family, weights, strategy, seed)
            for strategy, seed in progress(plan, "orders", "run")
        ]
        self._ablation: tuple[str, Ablation] | None = None

    def jobs(self, store: JobStore[Outcome]) -> list[Job[Outcome]]:
        """List the trainings.

        Args:
            store: Where the INRs are kept.

        Returns:
            One per ordered network; those of the same order are one after the other, because they
            share its features.
        """
        keys = [one.key() for one in self.networks]
        places = sorted(range(len(keys)), key=lambda place: keys.index(keys[place]))
        return [self._job(self.networks[place], keys[place], store) for place in places]

    def rows(self, store: JobStore[Outcome]) -> list[dict[str, Any]]:
        """Train and score what is missing.

        Args:
            store: What is there is not trained again.

        Returns:
            Rows, one per strategy, seed and width.
        """
        jobs = self.jobs(store)
        outcomes = dict(zip((job.name for job in jobs), store.run(jobs, "INR"), strict=True))
        return [
            {
                "strategy": one.strategy,
                "seed": one.seed,
                "width": width,
                "seen": width in self.train.widths.values(),
                "accuracy": accuracy,
                "collapsed": outcomes[_name(one)].collapsed,
                "variation": one.variation,
            }
            for one in self.networks
            for width, accuracy in zip(
                self.study.widths, outcomes[_name(one)].accuracies, strict=True
            )
        ]

    def _job(self, one: Ordered, key: str, store: JobStore[Outcome]) -> Job[Outcome]:
        def run() -> Outcome | Finished[Outcome]:
            return self._ablation_of(one, key).job("", variant, store, key).run()

        variant = _variant(self.study, self.train, self.sweep, one.seed)
        return Job(_name(one), [key, variant.settings()], run)

    def _ablation_of(self, one: Ordered, key: str) -> Ablation:
        """That of one order at a time: its features are large."""
        if self._ablation is None or self._ablation[0] != key:
            self._ablation = None
            weights = moved(one.weights, self.dataset.device)
            self._ablation = key, Ablation(one.family, weights, self.dataset)
        return self._ablation[1]


def _name(one: Ordered) -> str:
    return f"{one.strategy} seed {one.seed}"


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
        Score of the base network, and of the base network with all generated tensors at zero.
    """
    evaluator, at = Evaluator(family, dataset, split, whole=True), family.base
    base = moved(weights, dataset.device)
    return {
        "base": evaluator.deciding(at, base),
        "bypass": evaluator.deciding(at, zeroed(base, family.generated)),
    }
