"""Finished jobs survive a kill: the one store of every stage that works through a list of jobs.

Each finished job has a file, named after a hash of its own settings, in a folder named after a hash
of what all jobs of the stage share: parameters, inputs, the identity of the code, and the device
where it is not the CPU. So an interrupted run goes on with what is missing, a run with one job more
measures that one alone, a refactoring that is proven to change nothing finds all of them again, and
no changed input ever meets a stale result. Several processes may use one store at once; a shard
does its share of the jobs and leaves the results for the run that joins them.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from neumeta.core.cache_key import RESUME_ROOT, cache_key, forget
from neumeta.core.device import CPU
from neumeta.core.files import atomic_write_text, sha256_of
from neumeta.core.processes import ALONE, ProcessGroup
from neumeta.core.progress import current_title, progress
from neumeta.core.shard import Shard
from neumeta.core.unchanged import own_identity

T = TypeVar("T")
_log = logging.getLogger("neumeta")
STATE = ".state.safetensors"  # ending of what an unfinished job goes on from


@dataclass(frozen=True)
class Finished(Generic[T]):
    """What a job found.

    Attributes:
        value: Its result.
        seconds: Time spent, over all attempts.
    """

    value: T
    seconds: float


@dataclass(frozen=True)
class Job(Generic[T]):
    """Work that is done as a whole or not at all.

    Attributes:
        name: For people.
        settings: JSON-ready: all that its result depends on, beside what all jobs share. Jobs of
            equal settings are one job.
        run: Does the work. One that goes on from an earlier attempt tells the time of all of them.
        together: JSON-ready: jobs of an equal value go to one shard, as one makes what the others
            need; None for a job on its own.
    """

    name: str
    settings: Any
    run: Callable[[], T | Finished[T]]
    together: Any = None


class JobStore(Generic[T]):
    """The folder of the finished jobs of one stage."""

    def __init__(
        self,
        root: str | Path,
        shared: Any,
        *,
        encode: Callable[[T], Any],
        decode: Callable[[Any], T],
    ) -> None:
        """Name the folder; the first finished job makes it.

        Args:
            root: Of one stage of one experiment.
            shared: JSON-ready: what every job depends on; see `shared_by`.
            encode: From a result to JSON; NaN and infinity are kept.
            decode: Back, to the last bit; raises ValueError, TypeError or KeyError on what is
                damaged.
        """
        self.root = Path(root)
        self.folder = self.root / cache_key(shared)
        self._encode, self._decode = encode, decode
        self.found = self.done = 0

    def run(
        self,
        jobs: Sequence[Job[T]],
        unit: str = "job",
        *,
        shard: Shard | None = None,
        processes: ProcessGroup = ALONE,
    ) -> list[T]:
        """Do the jobs that are not done yet.

        Args:
            jobs: In the order of the work.
            unit: Name of one job, shown in progress lines.
            shard: Which share to do; None for all.
            processes: Those that share the work of every job; the leading one writes.

        Returns:
            One result per job of the share, in the order of the jobs.
        """
        share = self.share(jobs, shard)
        finished = {path: self.read(job) for path, job in share.items()}
        waiting = {path: share[path] for path, kept in finished.items() if kept is None}
        open_jobs = ", ".join(job.name for job in waiting.values())
        processes.agree(f"{open_jobs or 'nothing'} to do")  # and nobody writes before that
        done = len(share) - len(waiting)
        self.found += done
        for path, job in progress(
            list(waiting.items()), "", unit, done, name=lambda entry: entry[1].name
        ):
            start = time.perf_counter()
            made = job.run()
            if not isinstance(made, Finished):
                made = Finished(made, time.perf_counter() - start)
            if processes.leads:
                self.keep(job, made)
            finished[path] = made
            self.done += 1
        results = (finished.get(self.path(job.settings)) for job in jobs)
        return [kept.value for kept in results if kept is not None]

    def share(self, jobs: Iterable[Job[T]], shard: Shard | None) -> dict[Path, Job[T]]:
        """Choose the jobs of a shard.

        Args:
            jobs: All jobs; every shard is given the same ones.
            shard: Which share; None for all.

        Returns:
            Jobs by their files, each once.
        """
        distinct: dict[Path, Job[T]] = {}
        for job in jobs:
            distinct.setdefault(self.path(job.settings), job)
        if shard is None:
            return distinct
        chosen = {path for group in shard.of(_groups(distinct)) for path in group}
        return {path: job for path, job in distinct.items() if path in chosen}

    def waiting(self, jobs: Iterable[Job[T]]) -> int:
        """Count the pieces of work that are left and can be done side by side.

        Args:
            jobs: All jobs.

        Returns:
            Jobs that are not done; those that belong together count once.
        """
        distinct = self.share(jobs, None)
        undone = {path for path, job in distinct.items() if self.read(job) is None}
        return sum(not undone.isdisjoint(group) for group in _groups(distinct))

    def read(self, job: Job[T]) -> Finished[T] | None:
        """Look a job up; a damaged result is dropped with a warning, and the job runs again.

        Args:
            job: What was to be done.

        Returns:
            What it found; None while it is not done.
        """
        path = self.path(job.settings)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Finished(self._decode(content["value"]), float(content["seconds"]))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            reason = " ".join(str(error).split())
            _log.warning("%s: damaged (%s); doing %s again", path, reason, job.name)
            path.unlink(missing_ok=True)
            return None

    def keep(self, job: Job[T], made: Finished[T]) -> None:
        """Keep what a job found, atomically, and forget the state it went on from.

        Args:
            job: What was done.
            made: Its result.
        """
        content = {"job": job.name, "value": self._encode(made.value), "seconds": made.seconds}
        atomic_write_text(self.path(job.settings), json.dumps(content) + "\n")
        self.path(job.settings, STATE).unlink(missing_ok=True)

    def seconds(self, jobs: Iterable[Job[T]]) -> float:
        """Add up the time behind finished jobs, each counted once.

        Args:
            jobs: Some; repeats allowed.

        Returns:
            Seconds, over all attempts.
        """
        kept = [self.read(job) for job in self.share(jobs, None).values()]
        return sum((made.seconds for made in kept if made), start=0.0)

    def path(self, settings: Any, suffix: str = ".json") -> Path:
        """Where the result of a job lies, or what it keeps beside it.

        Args:
            settings: JSON-ready: what the file depends on: those of the job, or less, where
                several jobs share the file.
            suffix: Other endings are for the jobs' own use: a network, the `STATE` of an
                unfinished job.

        Returns:
            The file.
        """
        return self.folder / f"{cache_key(settings)}{suffix}"

    def forget_stale(self) -> None:
        """Delete what was kept of other parameters, inputs or code."""
        for path in {*self.root.glob("*")} - {self.folder}:
            shutil.rmtree(path, ignore_errors=True)  # or another process was faster

    def forget_others(self, kept: Iterable[Path], pattern: str = "*") -> None:
        """Delete what nothing asks for any more.

        Args:
            kept: Files of this store that are asked for.
            pattern: What may go.
        """
        for path in {*self.folder.glob(pattern)} - {*kept}:
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget everything."""
        forget(self.root)

    def report(self, shard: Shard | None = None) -> None:
        """Log how much of the work an earlier run or a shard had done.

        Args:
            shard: Which share of it this was; None for all.
        """
        what = current_title() + (f", shard {shard}" if shard else "")
        _log.info("%s: %d jobs were there, %d done now", what, self.found, self.done)


def _groups(jobs: Mapping[Path, Job[Any]]) -> list[list[Path]]:
    """The files of jobs, those that belong together in one list."""
    groups: dict[str, list[Path]] = {}
    for path, job in jobs.items():
        key = path.name if job.together is None else json.dumps(job.together, sort_keys=True)
        groups.setdefault(key, []).append(path)
    return list(groups.values())


def kept_in(experiment: str, stage: str) -> Path:
    """Where a stage keeps its finished jobs.

    Args:
        experiment: Of the experiment or study.
        stage: Name of the stage.

    Returns:
        The root of its store.
    """
    return RESUME_ROOT / experiment / stage


def shared_by(
    stage: str, params: Any, files: Mapping[str, str | Path], device: torch.device
) -> dict[str, Any]:
    """Describe what all jobs of a stage depend on.

    Devices of one type share their jobs: shards run on different cards of one machine.

    Args:
        stage: Name of the stage, for the identity of its code as it stands now.
        params: JSON-ready.
        files: Input files by what they are.
        device: Where the jobs compute.

    Returns:
        JSON-ready.
    """
    hashes = {name: sha256_of(path) for name, path in files.items()}
    elsewhere = {} if device == CPU else {"device": device.type}
    return {"code": own_identity(stage), "params": params, "files": hashes, **elsewhere}
