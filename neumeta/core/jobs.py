"""Finished jobs survive a kill: the one store of every stage that works through a list of jobs.

Each finished job has a file, named after a hash of all that its result depends on: its own
settings, and what all jobs of the stage share, which is data, parameters and code. So an
interrupted run goes on with what is missing, a run with one job more measures that one alone, and
no changed input ever meets a stale result. Several processes may use one store at once; a shard
does its share of the jobs and leaves the results for the run that joins them.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from neumeta.core.cache_key import forget, state_key
from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_text
from neumeta.core.progress import progress

T = TypeVar("T")
_log = logging.getLogger("neumeta")
_SHARD = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")


@dataclass(frozen=True)
class Shard:
    """One share of a list of jobs.

    Example: shard 2/3 of [a, b, c, d, e] is [b, e].

    Attributes:
        index: Which one, from 1.
        count: How many there are.
    """

    index: int
    count: int

    def of(self, items: Sequence[T]) -> list[T]:
        """Take this shard's share; neighbours go to different shards, as their costs are alike.

        Args:
            items: The whole list.

        Returns:
            Its items number `index`, `index + count`, …
        """
        return list(items[self.index - 1 :: self.count])


def parse_shard(text: str) -> Shard:
    """Read the value of `--shard`.

    Args:
        text: `I/N`.

    Returns:
        Shard I of N.

    Raises:
        UserError: If it is anything else.
    """
    found = _SHARD.fullmatch(text)
    if not found or int(found[1]) > int(found[2]):
        raise UserError(f"--shard {text!r}: must be I/N with I from 1 to N, for example 1/4")
    return Shard(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Job(Generic[T]):
    """Work that is done as a whole or not at all.

    Attributes:
        name: For people; different for all jobs of a run.
        settings: JSON-ready: what its result depends on, beside what all jobs share.
        run: Does the work.
    """

    name: str
    settings: Any
    run: Callable[[], T]


@dataclass(frozen=True)
class Finished(Generic[T]):
    """What a job found.

    Attributes:
        value: Its result.
        seconds: Time spent, over all attempts.
    """

    value: T
    seconds: float


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
            root: The folder.
            shared: JSON-ready: what every job depends on, such as parameters, the hashes of
                inputs and the identity of the code.
            encode: From a result to JSON; NaN and infinity are kept.
            decode: Back, to the last bit; raises ValueError, TypeError or KeyError on what is
                damaged.
        """
        self.root = Path(root)
        self._shared = state_key(shared, [])
        self._encode, self._decode = encode, decode
        self.found = self.done = 0

    def run(
        self,
        jobs: Sequence[Job[T]],
        label: str,
        *,
        unit: str = "job",
        shard: Shard | None = None,
    ) -> list[T]:
        """Do the jobs that are not done yet.

        Args:
            jobs: In the order of the work.
            label: Shown in progress lines.
            unit: Name of one job, shown there.
            shard: Which share to do; None for all.

        Returns:
            One result per job of the share, in the order of the jobs.
        """
        share = shard.of(jobs) if shard else list(jobs)
        found = {job.name: self.read(job) for job in share}
        waiting = [job for job in share if found[job.name] is None]
        for job in progress(waiting, label, unit, done=len(share) - len(waiting)):
            start = time.perf_counter()
            value = job.run()
            found[job.name] = self.keep(job, value, time.perf_counter() - start)
        self.done += len(waiting)
        self.found += len(share) - len(waiting)
        return [kept.value for kept in found.values() if kept is not None]

    def read(self, job: Job[T]) -> Finished[T] | None:
        """Look a job up; a damaged result is dropped with a warning, and the job runs again.

        Args:
            job: What was to be done.

        Returns:
            What it found; None while it is not done.
        """
        path = self.path(job)
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

    def keep(self, job: Job[T], value: T, seconds: float) -> Finished[T]:
        """Keep what a job found, atomically.

        Args:
            job: What was done.
            value: The result.
            seconds: Time spent, over all attempts.

        Returns:
            Both.
        """
        content = {"job": job.name, "value": self._encode(value), "seconds": seconds}
        atomic_write_text(self.path(job), json.dumps(content) + "\n")
        return Finished(value, seconds)

    def seconds(self, jobs: Iterable[Job[T]]) -> float:
        """Add up the time behind finished jobs, each counted once.

        Args:
            jobs: Some; repeats allowed.

        Returns:
            Seconds, over all attempts.
        """
        files = {self.path(job): job for job in jobs}
        return sum((kept.seconds for job in files.values() if (kept := self.read(job))), start=0.0)

    def path(self, job: Job[T], suffix: str = ".json", settings: Any = None) -> Path:
        """Where a job's result lies, or what it keeps beside it.

        Args:
            job: What is done.
            suffix: Other endings are for the job's own use: a state to resume from, a network.
            settings: JSON-ready: what that file depends on, where it is less than the job does, so
                that several jobs share it; None for the job's own name and settings.

        Returns:
            The file.
        """
        own = [job.name, job.settings] if settings is None else settings
        return self.root / f"{state_key([self._shared, own], [])}{suffix}"

    def forget_others(self, kept: Iterable[Path]) -> None:
        """Delete what nothing asks for any more.

        Args:
            kept: Files of this store that are asked for.
        """
        for path in {*self.root.glob("*")} - {*kept}:
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget everything."""
        forget(self.root)

    def report(self, what: str) -> None:
        """Log how much of the work an earlier run or a shard had done.

        Args:
            what: Names the work.
        """
        _log.info("%s: %d jobs were there, %d done now", what, self.found, self.done)
