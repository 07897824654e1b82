"""Jobs of one stage side by side: the stage starts itself once for each part of the cores.

Every copy is the command of the stage with `--shard I/N`. It leaves what it finished in the store,
from where the stage then reads all of it: the bytes are those of one process that does job by job.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

from neumeta.core.device import CPU
from neumeta.core.errors import UserError
from neumeta.core.jobs import Job, JobStore
from neumeta.core.progress import heard

WORKERS_VARIABLE = "NEUMETA_WORKERS"
MOST_WORKERS = 8  # by default: each holds the data set of its own
_STAGES = "neumeta.stages."
_END_SECONDS = 10


def side_by_side(
    store: JobStore[Any], jobs: Sequence[Job[Any]], threads: int, device: torch.device = CPU
) -> None:
    """Do the jobs that are not done yet in as many processes as fit, if that is more than one.

    Only the command of a stage is started again; called from Python, the jobs stay for the caller.

    Args:
        store: Where the jobs are kept.
        jobs: Of the whole stage.
        threads: Threads of each process.
        device: Where they compute; processes do not share a card.

    Raises:
        UserError: If one of them fails; what it said stands above. What the others finished is
            kept.
    """
    command = _own_command()
    if command is None or device != CPU or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    count = min(workers(threads), store.waiting(jobs))
    if count > 1:
        run_together([[*command, "--shard", f"{i}/{count}"] for i in range(1, count + 1)])


def workers(threads: int) -> int:
    """Choose how many processes a stage may use.

    Args:
        threads: Threads of each.

    Returns:
        What $NEUMETA_WORKERS says, else the cores that this process may use, by threads.

    Raises:
        UserError: If the variable is no count.
    """
    asked = os.environ.get(WORKERS_VARIABLE, "").strip()
    if not asked:
        return max(1, min(MOST_WORKERS, _cores() // threads))
    if not asked.isascii() or not asked.isdecimal() or not 1 <= int(asked) <= 1024:
        raise UserError(f"{WORKERS_VARIABLE}={asked!r}: must be a whole number from 1 to 1024")
    return int(asked)


def run_together(commands: Sequence[Sequence[str]]) -> None:
    """Run commands at once and pass on what they say; all end with this process.

    Args:
        commands: One list of words each.

    Raises:
        UserError: If one fails, after all have ended.
    """
    children: list[subprocess.Popen[str]] = []
    readers = []
    with _ended(children):
        for place, command in enumerate(commands, 1):
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
            children.append(child)
            mark = f"[{place}/{len(commands)}] "
            readers.append(threading.Thread(target=_relay, args=(child, mark), daemon=True))
            readers[-1].start()
        statuses = [child.wait() for child in children]
        for reader in readers:
            reader.join()
    if failed := [place for place, status in enumerate(statuses, 1) if status]:
        others = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise UserError(
            f"process {failed[0]} of {len(commands)}{others} failed, see above; what is finished "
            "is kept, run it again"
        )


def _own_command() -> list[str] | None:
    """The command by which this process was started, if it is a stage."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or not spec.name.startswith(_STAGES):
        return None
    return [sys.executable, "-m", spec.name, *sys.argv[1:]]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _relay(child: subprocess.Popen[str], mark: str) -> None:
    assert child.stdout is not None
    with child.stdout:
        for line in child.stdout:
            print(f"{mark}{line.rstrip()}", file=sys.stderr, flush=True)
            heard()


@contextmanager
def _ended(children: Sequence[subprocess.Popen[str]]) -> Iterator[None]:
    """End the children when the body ends in whatever way, a termination from outside included."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
        for child in children:
            child.terminate()  # no harm where it has ended
        for child in children:
            try:
                child.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
