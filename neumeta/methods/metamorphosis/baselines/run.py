"""All baselines of one experiment, on the same data and test set as the INR."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.core.fields import Criterion, Section
from neumeta.core.jobs import Job, JobStore
from neumeta.core.shard import Shard
from neumeta.measure.controls import zeroed
from neumeta.measure.evaluator import Evaluator
from neumeta.measure.results import ResultRow
from neumeta.methods.metamorphosis.baselines.channels import keep_top
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.baselines.individual import (
    fresh_network,
    given_network,
    train_network,
)
from neumeta.methods.metamorphosis.baselines.integral import sampled, train_integral
from neumeta.methods.metamorphosis.baselines.pruning import Scores, channel_scores
from neumeta.methods.metamorphosis.baselines.slimmable import slim, train_slimmable
from neumeta.methods.metamorphosis.params.baselines import (
    BaselineParams,
    DistilledParams,
    IndividualParams,
    PrunedParams,
)
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.axes import Point

Rows = tuple[ResultRow, ...]


class Baselines:
    """What the INR is compared with."""

    def __init__(self, comparison: Comparison, params: BaselineParams) -> None:
        """Prepare the comparison.

        Args:
            comparison: Family, base network and data.
            params: The section `baselines`.

        Raises:
            UserError: If a width is outside the family, or above the base width where that
                cannot be.
        """
        self.comparison = comparison
        self.params = params
        self._check_widths()
        self.evaluator = Evaluator(comparison.family, comparison.dataset, seen=comparison.points)
        self._scores: dict[tuple[Criterion, int | None], Scores] = {}

    def measure(self, store: JobStore[Rows], shard: Shard | None = None) -> list[ResultRow]:
        """Measure all baselines.

        Args:
            store: Holds what earlier runs have finished, and takes every finished job.
            shard: Which share of the jobs to measure; None for all.

        Returns:
            One row per method, width and seed.
        """
        return [row for rows in store.run(self.jobs(), "network", shard=shard) for row in rows]

    def jobs(self) -> list[Job[Rows]]:
        """List what is asked for: every trained network, and every untrained width.

        Returns:
            Kind by kind.
        """
        params = self.params
        jobs = self._untrained()
        if params.pruned is not None:
            jobs += self._finetuned(params.pruned)
        if params.individual is not None:
            jobs += self._fresh("individual", params.individual)
        if params.distilled is not None:
            jobs += self._fresh("individual-distilled", params.distilled)
        if params.slimmable is not None:
            jobs += [self._slimmable(seed) for seed in params.slimmable.seeds]
        if params.integral is not None:
            jobs += [self._integral(seed) for seed in params.integral.seeds]
        return jobs

    def _check_widths(self) -> None:
        """Refuse wrong widths before any work is done."""
        params, family = self.params, self.comparison.family
        base_width = family.base["width"]
        above = list(params.above(base_width))
        if params.slimmable or params.integral:
            above += [at["width"] for at in self.comparison.points if at["width"] > base_width]
        for widths in params.all_widths().values():
            for width in widths:
                at_width(family, width)
        for width in above:
            raise UserError(
                f"baselines: width {width} is above the base width; "
                f"pruning, interpolation and sharing need at most {base_width}"
            )

    def _untrained(self) -> list[Job[Rows]]:
        at = self.comparison.family.base
        base = _job("base", None, lambda: [self.evaluator.row("base", at, self.comparison.base)])
        return [base, *(self._untrained_width(width) for width in self.params.widths.values())]

    def _untrained_width(self, width: int) -> Job[Rows]:
        def run() -> list[ResultRow]:
            comparison, params = self.comparison, self.params
            at = at_width(comparison.family, width)
            resampled = sampled(comparison, comparison.base, at, params.origin)
            dead = zeroed(resampled, comparison.family.generated)
            rows = [
                self.evaluator.row("interpolated", at, resampled),
                self.evaluator.row("bypass", at, dead),
            ]
            if params.pruned is not None:
                for criterion, seed in params.pruned.choices():
                    weights = self._pruned(criterion, at, seed)
                    rows.append(self.evaluator.row(f"pruned-{criterion}", at, weights, seed))
            return rows

        pruned = _settings(self.params.pruned, "recipe", "trains")
        return _job(f"untrained h={width}", [self.params.origin, pruned], run)

    def _finetuned(self, settings: PrunedParams) -> list[Job[Rows]]:
        if settings.recipe is None or settings.widths is None:
            return []
        recipe = settings.recipe

        def job(criterion: Criterion, width: int, seed: int) -> Job[Rows]:
            method = f"pruned-{criterion}-finetuned"
            label = f"{method} h={width} seed {seed}"

            def run() -> list[ResultRow]:
                at = at_width(self.comparison.family, width)
                start = self._pruned(criterion, at, seed if criterion == "random" else None)
                network = given_network(self.comparison, at, start)
                trains = settings.trains
                weights = train_network(
                    self.comparison, network, recipe, trains, seed=seed, label=label
                )
                return [self.evaluator.row(method, at, weights, seed)]

            return _job(label, _settings(settings, "criteria", "random_seeds"), run)

        return [
            job(criterion, width, seed)
            for criterion in settings.criteria
            for width in settings.widths
            for seed in settings.seeds
        ]

    def _fresh(self, method: str, settings: IndividualParams) -> list[Job[Rows]]:
        def job(width: int, seed: int) -> Job[Rows]:
            label = f"{method} h={width} seed {seed}"

            def run() -> list[ResultRow]:
                at = at_width(self.comparison.family, width)
                weights = train_network(
                    self.comparison,
                    fresh_network(self.comparison, at, seed, settings.trains),
                    settings.recipe,
                    settings.trains,
                    seed=seed,
                    label=label,
                    teaching=settings.losses if isinstance(settings, DistilledParams) else None,
                )
                return [self.evaluator.row(method, at, weights, seed)]

            return _job(label, _settings(settings), run)

        return [job(width, seed) for width in settings.widths for seed in settings.seeds]

    def _slimmable(self, seed: int) -> Job[Rows]:
        settings = self.params.slimmable
        assert settings is not None
        label = f"slimmable seed {seed}"

        def run() -> list[ResultRow]:
            shared = train_slimmable(self.comparison, settings, seed=seed, label=label)
            return self._all_widths(
                "slimmable", seed, lambda at: slim(self.comparison, shared, at, settings.rescale)
            )

        return _job(label, [_settings(settings), self.params.widths.values()], run)

    def _integral(self, seed: int) -> Job[Rows]:
        settings, origin = self.params.integral, self.params.origin
        assert settings is not None
        label = f"integral seed {seed}"

        def run() -> list[ResultRow]:
            knots = train_integral(self.comparison, settings, origin, seed=seed, label=label)
            return self._all_widths(
                "integral", seed, lambda at: sampled(self.comparison, knots, at, origin)
            )

        widths = self.params.widths.values()
        return _job(label, [_settings(settings), widths, origin], run)

    def _all_widths(
        self, method: str, seed: int, weights: Callable[[Point], Mapping[str, Tensor]]
    ) -> list[ResultRow]:
        points = [at_width(self.comparison.family, width) for width in self.params.widths.values()]
        return [self.evaluator.row(method, at, weights(at), seed) for at in points]

    def _pruned(self, criterion: Criterion, at: Point, seed: int | None) -> dict[str, Tensor]:
        """The base network, cut; the scores of its channels are computed once."""
        comparison, settings = self.comparison, self.params.pruned
        assert settings is not None
        if (criterion, seed) not in self._scores:
            found = channel_scores(comparison, criterion, settings.scoring, seed or 0)
            self._scores[criterion, seed] = found
        scores = self._scores[criterion, seed]
        return keep_top(comparison.base, comparison.groups, scores, comparison.family.sizes(at))


def _job(name: str, settings: Any, run: Callable[[], list[ResultRow]]) -> Job[Rows]:
    """A job whose name tells method, width and seed, beside the settings of its kind."""
    return Job(name, [name, settings], lambda: tuple(run()))


def _settings(section: Section | None, *others: str) -> Any:
    """Describe a kind, but for its widths and seeds, which are in the names of its jobs."""
    left_out = {"widths", "seeds", *others}
    return None if section is None else section.model_dump(mode="json", exclude=left_out)
