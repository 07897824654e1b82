"""The width sweep: sample every width, average K draws, score on the test set."""

from collections.abc import Sequence
from functools import partial

import torch

from neumeta.core.device import autocast
from neumeta.core.jobs import Job, JobStore
from neumeta.core.progress import progress
from neumeta.core.shard import Shard
from neumeta.data.dataset import Dataset
from neumeta.measure.controls import check_alive, floors
from neumeta.measure.evaluator import Evaluator
from neumeta.measure.results import ResultRow
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.methods.metamorphosis.params.train import SweepParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.axes import Point
from neumeta.tasks.registry import task_of

Rows = tuple[ResultRow, ...]


class Sweep:
    """The jobs of a sweep: what each INR scores at each width, and the floor of a dead one."""

    def __init__(
        self, morphs: Sequence[MorphableNetwork], dataset: Dataset, params: SweepParams
    ) -> None:
        """Plan the work; the test set is prepared when the first network is scored.

        Args:
            morphs: One per seed, of one family.
            dataset: Its test split is used; lies where the INRs do.
            params: The section `sweep`.

        Raises:
            UserError: If a width is outside the family.
        """
        self.morphs, self.dataset, self.params = morphs, dataset, params
        widths = params.widths.values()
        self.points = tuple(at_width(morphs[0].family, width) for width in widths)
        self._evaluator: Evaluator | None = None
        self._scores: object = None

    def jobs(self) -> list[Job[Rows]]:
        """List all jobs.

        Returns:
            By seed, the networks in their order and then the floor.
        """
        return [job for morph in self.morphs for job in self.jobs_of(morph)]

    def jobs_of(self, morph: MorphableNetwork) -> list[Job[Rows]]:
        """List the jobs of one INR.

        Args:
            morph: One of them.

        Returns:
            The networks in their order and then the floor.
        """
        return [self._job(morph, at) for at in (*self.points, None)]

    def _job(self, morph: MorphableNetwork, at: Point | None) -> Job[Rows]:
        seed, what = morph.card.seed, at or "bypass"
        settings = [seed, at and at.values()]
        return Job(f"seed {seed}, {what}", settings, lambda: self._measured(morph, at))

    def measure(self, store: JobStore[Rows], where: str) -> list[ResultRow]:
        """Measure every width of every INR, with K draws and noise-free.

        Args:
            store: Finished jobs: those there are taken, missing ones are added.
            where: Names the experiment in errors.

        Returns:
            Rows of the methods `neumeta` (K draws) and `neumeta-noise-free` (one exact draw), by
            seed, then width, then method.

        Raises:
            CollapseError: If an INR's whole curve equals its floor.
        """
        metric = task_of(self.dataset).metrics[0]
        rows: list[ResultRow] = []
        for morph in progress(self.morphs, "", "INR", name=lambda m: f"seed {m.card.seed}"):
            *measured, dead = store.run(self.jobs_of(morph), "network")
            own = [row for some in measured for row in some]
            curve = {
                at: row.value(metric)
                for at, some in zip(self.points, measured, strict=True)
                for row in some
                if row.method == "neumeta"
            }
            floor = max(row.value(metric) for row in dead)
            name = f"{where}: sweep of INR seed {morph.card.seed}"
            check_alive(curve, floor, self.dataset.size("test"), name)
            rows += own
        return rows

    def measure_shard(self, store: JobStore[Rows], shard: Shard) -> None:
        """Measure one share of the jobs and leave them for `measure`.

        Args:
            store: Where they are left; those already there are not measured again.
            shard: Which share.
        """
        store.run(self.jobs(), "network", shard=shard)

    def _measured(self, morph: MorphableNetwork, at: Point | None) -> Rows:
        """Rows of one network, in their order in the table; of the floor, which it leaves out."""
        with autocast(self.dataset.device, self.params.precision):
            evaluator, seed = self._evaluator_of(morph), morph.card.seed
            if at is None:
                base = morph.family.base
                weights, generated = morph.weights(base, draws=1), morph.family.generated
                score = partial(evaluator.row, "bypass", base, seed=seed)
                return floors(weights, generated, score)
            # Fresh for every network, so that it depends on its point and the seed alone.
            generator = torch.Generator().manual_seed(self.params.seed)
            averaged = morph.weights(at, draws=self.params.draws, generator=generator)
            exact = morph.weights(at, draws=1)
            return (
                evaluator.row("neumeta", at, averaged, seed),
                evaluator.row("neumeta-noise-free", at, exact, seed),
            )

    def _evaluator_of(self, morph: MorphableNetwork) -> Evaluator:
        """Use one evaluator for all INRs of one family, because it keeps the test features."""
        scores = (morph.family.header(), morph.card.trained)
        if self._evaluator is None or scores != self._scores:
            seen = morph.card.trained
            self._evaluator = Evaluator(morph.family, self.dataset, seen=seen)
            self._scores = scores
        return self._evaluator
