"""The width sweep: sample every width, average K draws, score on the test set."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from neumeta.core.jobs import Job, JobStore, Shard
from neumeta.core.progress import progress
from neumeta.data.dataset import Dataset
from neumeta.measure.controls import check_alive, floors
from neumeta.measure.evaluator import Evaluator
from neumeta.measure.results import ResultRow
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.methods.metamorphosis.params.train import SweepParams
from neumeta.tasks.registry import task_of
from neumeta.training.features import products_in

Rows = tuple[ResultRow, ...]


class Sweep:
    """The jobs of a sweep: what each INR scores at each width, and the floor of a dead one."""

    def __init__(
        self, morphs: Sequence[MorphableNetwork], dataset: Dataset, params: SweepParams
    ) -> None:
        """Plan the work; the test set is prepared when the first network is scored.

        Args:
            morphs: One per seed, of one family.
            dataset: Its test split is used.
            params: The section `sweep`.

        Raises:
            UserError: If a width is outside the family.
        """
        for width in params.widths.values():
            morphs[0].family.check_width(width)
        self.morphs, self.dataset, self.params = morphs, dataset, params
        self._evaluator: Evaluator | None = None
        self._scores: object = None

    def jobs(self) -> list[Job[Rows]]:
        """List all jobs.

        Returns:
            By seed, the widths in their order and then the floor.
        """
        return [job for morph in self.morphs for job in self.jobs_of(morph)]

    def jobs_of(self, morph: MorphableNetwork) -> list[Job[Rows]]:
        """List the jobs of one INR.

        Args:
            morph: One of them.

        Returns:
            The widths in their order and then the floor.
        """
        return [self._job(morph, width) for width in (*self.params.widths.values(), None)]

    def _job(self, morph: MorphableNetwork, width: int | None) -> Job[Rows]:
        seed, what = seed_of(morph), "bypass" if width is None else f"width {width}"
        return Job(f"seed {seed}, {what}", [seed, width], lambda: self._measured(morph, width))

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
        for morph in progress(self.morphs, "", "INR", name=lambda m: f"seed {seed_of(m)}"):
            *measured, dead = store.run(self.jobs_of(morph), "network")
            own = [row for some in measured for row in some]
            curve = {row.width: row.value(metric) for row in own if row.method == "neumeta"}
            floor = max(row.value(metric) for row in dead)
            name = f"{where}: sweep of INR seed {seed_of(morph)}"
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

    def _measured(self, morph: MorphableNetwork, width: int | None) -> Rows:
        """Rows of one width, in their order in the table; of the floor, which it leaves out."""
        with products_in(self.params.precision):
            evaluator, seed = self._evaluator_of(morph), seed_of(morph)
            if width is None:
                base = morph.family.base_width
                weights, generated = morph.weights(base, draws=1), morph.family.generated
                score = partial(evaluator.row, "bypass", base, seed=seed)
                return floors(weights, generated, score)
            # Fresh for every width, so that a network depends on its width and the seed alone.
            generator = torch.Generator().manual_seed(self.params.seed)
            averaged = morph.weights(width, draws=self.params.draws, generator=generator)
            exact = morph.weights(width, draws=1)
            return (
                evaluator.row("neumeta", width, averaged, seed),
                evaluator.row("neumeta-noise-free", width, exact, seed),
            )

    def _evaluator_of(self, morph: MorphableNetwork) -> Evaluator:
        """Use one evaluator for all INRs of one family, because it keeps the test features."""
        scores = (morph.family.header(), morph.header["train_widths"])
        if self._evaluator is None or scores != self._scores:
            seen = morph.header["train_widths"]
            self._evaluator = Evaluator(morph.family, self.dataset, seen=seen)
            self._scores = scores
        return self._evaluator


def seed_of(morph: MorphableNetwork) -> int:
    """Read the seed of an INR.

    Args:
        morph: The INR.

    Returns:
        The seed of its training.
    """
    return int(morph.header["seed"])


def inr_files(folder: str | Path) -> list[Path]:
    """List the INRs of an experiment by seed.

    Args:
        folder: Output folder of the train stage.

    Returns:
        Files in the order of their seeds.
    """
    return sorted(Path(folder).glob("seed-*.safetensors"), key=lambda p: int(p.stem.split("-")[1]))
