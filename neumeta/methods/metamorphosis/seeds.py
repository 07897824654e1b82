"""The trainings of one experiment: one job per seed, which goes on from where a killed one was."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from neumeta.core.jobs import STATE, Finished, Job, JobStore
from neumeta.core.processes import ProcessGroup
from neumeta.data.dataset import Dataset
from neumeta.methods.metamorphosis.inr_file import write_inr
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.resume import restore_state, save_state
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.models.family import Family


@dataclass(frozen=True)
class Trained:
    """What a training leaves beside its INR.

    Attributes:
        history: Its loss curve, rows of `HISTORY_COLUMNS`.
        seconds_shared: Time to prepare what all seeds of that run share.
    """

    history: list[dict[str, Any]]
    seconds_shared: float


def seed_store(root: str | Path, shared: Any) -> JobStore[Trained]:
    """Make the store of finished trainings; their INRs and unfinished states lie beside them.

    Args:
        root: See `JobStore`.
        shared: Likewise.

    Returns:
        The store.
    """
    return JobStore(root, shared, encode=asdict, decode=lambda content: Trained(**content))


class Seeds:
    """The trainings of an experiment."""

    def __init__(
        self,
        family: Family,
        base: Mapping[str, Tensor],
        dataset: Dataset,
        params: TrainParams,
        origin: Mapping[str, Any],
        store: JobStore[Trained],
        processes: ProcessGroup,
    ) -> None:
        """Prepare nothing yet: where all seeds are done, no features are needed.

        Args:
            family: The family that morphs.
            base: Permuted base parameters by name.
            dataset: Its train and val splits are used.
            params: The section `train`.
            origin: JSON-ready: what the file of an INR tells of its making, beside the seed.
            store: Where states and INRs are kept.
            processes: The processes that share the work.
        """
        self.family, self.base, self.dataset, self.params = family, base, dataset, params
        self.origin, self.store, self.processes = origin, store, processes
        self._problem: Problem | None = None
        self._seconds_shared = 0.0

    def jobs(self) -> list[Job[Trained]]:
        """List the trainings.

        Returns:
            One per seed.
        """
        return [self._job(seed) for seed in self.params.seeds]

    def inr_path(self, seed: int) -> Path:
        """Where the INR of a finished training lies.

        Args:
            seed: Seed of the training.

        Returns:
            The file.
        """
        return self.store.path(seed, ".safetensors")

    def _job(self, seed: int) -> Job[Trained]:
        return Job(f"seed {seed}", seed, lambda: self._train(seed))

    def _train(self, seed: int) -> Finished[Trained]:
        """Train one seed; only the leading process of a group writes files."""
        problem, state = self._prepared(), self.store.path(seed, STATE)
        trainer = Trainer(problem, seed, self.processes)
        start = time.perf_counter() - restore_state(state, trainer)
        self.processes.agree(
            f"seed {seed}, {trainer.phase}, step {trainer.step} of run {self.store.folder.name}"
        )

        def save(trained: Trainer) -> None:
            if self.processes.leads:
                save_state(state, trained, time.perf_counter() - start)

        inr = trainer.run(save)
        if self.processes.leads:
            write_inr(self.inr_path(seed), inr, problem.base, {**self.origin, "seed": seed})
        trained = Trained(trainer.history, self._seconds_shared)
        return Finished(trained, time.perf_counter() - start)

    def _prepared(self) -> Problem:
        """What all seeds share, made once, and only where one is to be trained."""
        if self._problem is None:
            start = time.perf_counter()
            self._problem = make_problem(self.family, self.base, self.dataset, self.params)
            self._seconds_shared = time.perf_counter() - start
        return self._problem
