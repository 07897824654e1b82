"""All baselines of one experiment, on the same data and test set as the INR."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.core.fields import Criterion, Section
from neumeta.core.progress import progress
from neumeta.measure.controls import bypass_weights
from neumeta.measure.results import ResultRow
from neumeta.measure.scorer import Scorer
from neumeta.methods.metamorphosis.baselines.channels import keep_top
from neumeta.methods.metamorphosis.baselines.diary import Diary, Entry
from neumeta.methods.metamorphosis.baselines.examples import Examples
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

Rows = list[ResultRow]


@dataclass(frozen=True)
class Job:
    """Work that is done as a whole or not at all: one trained network, or one untrained width.

    Attributes:
        name: Different for all jobs of a run.
        settings: JSON-ready: what its result depends on, beside its name and what all jobs share.
        run: Gives the lines of the result table.
    """

    name: str
    settings: Any
    run: Callable[[], Rows]


class Baselines:
    """What the INR is compared with."""

    def __init__(self, examples: Examples, params: BaselineParams) -> None:
        """Prepare the comparison.

        Args:
            examples: Family, base network and data.
            params: The section `baselines`.

        Raises:
            UserError: If a width is outside the family, or above the base width where that
                cannot be.
        """
        self.examples = examples
        self.params = params
        self._check_widths()
        self.scorer = Scorer(examples.family, examples.dataset, examples.points)
        self._scores: dict[tuple[Criterion, int | None], Scores] = {}

    def measure(self, diary: Diary) -> Rows:
        """Measure all baselines.

        Args:
            diary: Holds what earlier runs have finished, and takes every finished job.

        Returns:
            One row per method, width and seed.
        """
        rows: Rows = []
        for label, unit, jobs in self._plan():
            found = {job.name: diary.read(job.name, job.settings) for job in jobs}
            waiting = [job for job in jobs if found[job.name] is None]
            for job in progress(waiting, label, unit, done=len(jobs) - len(waiting)):
                start = time.perf_counter()
                entry = Entry(tuple(job.run()), time.perf_counter() - start)
                diary.add(job.name, job.settings, entry)
                found[job.name] = entry
            rows += [row for entry in found.values() if entry for row in entry.rows]
        return rows

    def jobs(self) -> list[tuple[str, Any]]:
        """List what is asked for.

        Returns:
            Name and settings of every job.
        """
        return [(job.name, job.settings) for _, _, jobs in self._plan() for job in jobs]

    def _check_widths(self) -> None:
        """Refuse wrong widths before any work is done."""
        params, family = self.params, self.examples.family
        base_width = family.base["width"]
        above = list(params.above(base_width))
        if params.slimmable or params.integral:
            above += [at["width"] for at in self.examples.points if at["width"] > base_width]
        for widths in params.all_widths().values():
            for width in widths:
                at_width(family, width)
        for width in above:
            raise UserError(
                f"baselines: width {width} is above the base width; "
                f"pruning, interpolation and sharing need at most {base_width}"
            )

    def _plan(self) -> Iterator[tuple[str, str, list[Job]]]:
        """Label, unit and jobs of every kind that is asked for."""
        params = self.params
        yield "measuring untrained networks", "width", self._untrained()
        if params.pruned is not None:
            yield "fine-tuning pruned networks", "network", self._finetuned(params.pruned)
        if params.individual is not None:
            jobs = self._fresh("individual", params.individual)
            yield "training individual networks", "network", jobs
        if params.distilled is not None:
            jobs = self._fresh("individual-distilled", params.distilled)
            yield "training distilled networks", "network", jobs
        if params.slimmable is not None:
            jobs = [self._slimmable(seed) for seed in params.slimmable.seeds]
            yield "training slimmable networks", "network", jobs
        if params.integral is not None:
            jobs = [self._integral(seed) for seed in params.integral.seeds]
            yield "training integral networks", "network", jobs

    def _untrained(self) -> list[Job]:
        at = self.examples.family.base
        base = Job("base", None, lambda: [self.scorer.row("base", at, self.examples.base)])
        return [base, *(self._untrained_width(width) for width in self.params.widths.values())]

    def _untrained_width(self, width: int) -> Job:
        def run() -> Rows:
            examples, params = self.examples, self.params
            at = at_width(examples.family, width)
            resampled = sampled(examples, examples.base, at, params.origin)
            dead = bypass_weights(resampled, examples.family.generated)
            rows = [
                self.scorer.row("interpolated", at, resampled),
                self.scorer.row("bypass", at, dead),
            ]
            if params.pruned is not None:
                for criterion, seed in params.pruned.choices():
                    weights = self._pruned(criterion, at, seed)
                    rows.append(self.scorer.row(f"pruned-{criterion}", at, weights, seed))
            return rows

        pruned = _settings(self.params.pruned, "recipe", "trains")
        return Job(f"untrained h={width}", [self.params.origin, pruned], run)

    def _finetuned(self, settings: PrunedParams) -> list[Job]:
        if settings.recipe is None or settings.widths is None:
            return []
        recipe = settings.recipe

        def job(criterion: Criterion, width: int, seed: int) -> Job:
            method = f"pruned-{criterion}-finetuned"
            label = f"{method} h={width} seed {seed}"

            def run() -> Rows:
                at = at_width(self.examples.family, width)
                start = self._pruned(criterion, at, seed if criterion == "random" else None)
                network = given_network(self.examples, at, start)
                trains = settings.trains
                weights = train_network(
                    self.examples, network, recipe, trains, seed=seed, label=label
                )
                return [self.scorer.row(method, at, weights, seed)]

            return Job(label, _settings(settings, "criteria", "random_seeds"), run)

        return [
            job(criterion, width, seed)
            for criterion in settings.criteria
            for width in settings.widths
            for seed in settings.seeds
        ]

    def _fresh(self, method: str, settings: IndividualParams) -> list[Job]:
        def job(width: int, seed: int) -> Job:
            label = f"{method} h={width} seed {seed}"

            def run() -> Rows:
                at = at_width(self.examples.family, width)
                weights = train_network(
                    self.examples,
                    fresh_network(self.examples, at, seed, settings.trains),
                    settings.recipe,
                    settings.trains,
                    seed=seed,
                    label=label,
                    teaching=settings.losses if isinstance(settings, DistilledParams) else None,
                )
                return [self.scorer.row(method, at, weights, seed)]

            return Job(label, _settings(settings), run)

        return [job(width, seed) for width in settings.widths for seed in settings.seeds]

    def _slimmable(self, seed: int) -> Job:
        settings = self.params.slimmable
        assert settings is not None
        label = f"slimmable seed {seed}"

        def run() -> Rows:
            shared = train_slimmable(self.examples, settings, seed=seed, label=label)
            return self._all_widths(
                "slimmable", seed, lambda at: slim(self.examples, shared, at, settings.rescale)
            )

        return Job(label, [_settings(settings), self.params.widths.values()], run)

    def _integral(self, seed: int) -> Job:
        settings, origin = self.params.integral, self.params.origin
        assert settings is not None
        label = f"integral seed {seed}"

        def run() -> Rows:
            knots = train_integral(self.examples, settings, origin, seed=seed, label=label)
            return self._all_widths(
                "integral", seed, lambda at: sampled(self.examples, knots, at, origin)
            )

        widths = self.params.widths.values()
        return Job(label, [_settings(settings), widths, origin], run)

    def _all_widths(
        self, method: str, seed: int, weights: Callable[[Point], Mapping[str, Tensor]]
    ) -> Rows:
        points = [at_width(self.examples.family, width) for width in self.params.widths.values()]
        return [self.scorer.row(method, at, weights(at), seed) for at in points]

    def _pruned(self, criterion: Criterion, at: Point, seed: int | None) -> dict[str, Tensor]:
        """The base network, cut; the scores of its channels are computed once."""
        examples, settings = self.examples, self.params.pruned
        assert settings is not None
        if (criterion, seed) not in self._scores:
            found = channel_scores(examples, criterion, settings.scoring, seed or 0)
            self._scores[criterion, seed] = found
        scores = self._scores[criterion, seed]
        return keep_top(examples.base, examples.groups, scores, examples.shapes(at))


def _settings(section: Section | None, *others: str) -> Any:
    """Describe a kind, but for its widths and seeds, which are in the names of its jobs."""
    left_out = {"widths", "seeds", *others}
    return None if section is None else section.model_dump(mode="json", exclude=left_out)
