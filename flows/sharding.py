"""How the jobs of a stage are divided: how many shards, where, their commands and threads."""

import re
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.errors import FlowError, one_line
from flows.plan import Stage

CONNECT_SECONDS = 10.0
MOST_WORKERS = 256  # of our own: each is a process with the libraries of a stage in memory
_ADDRESS = re.compile(r"[a-z]+://(?P<host>[^:/]+|\[[0-9a-fA-F:]+\]):(?P<port>\d+)")


@dataclass(frozen=True)
class Sharding:
    """How stages are divided whose commands take `--shard I/N`.

    Attributes:
        workers: shards of a stage, run side by side; 1 for none.
        scheduler: address of a Dask scheduler whose workers run them, such as
            `tcp://10.0.0.5:8786`; empty for workers that live as long as the stage.
    """

    workers: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything runs."""
        if self.workers < 1:
            raise FlowError(f"workers {self.workers}: must be 1 or more")
        if self.workers > MOST_WORKERS and not self.scheduler:
            raise FlowError(f"workers {self.workers}: at most {MOST_WORKERS} without a scheduler")
        if self.scheduler and self.workers == 1:
            raise FlowError("scheduler: needs workers of 2 or more")
        if self.scheduler and not _ADDRESS.fullmatch(self.scheduler):
            raise FlowError(
                f"scheduler {self.scheduler!r}: must be an address such as tcp://10.0.0.5:8786"
            )

    def concerns(self, stage: Stage) -> bool:
        """Tell whether a stage is run in shards.

        Args:
            stage: any stage.

        Returns:
            True for those that take shards, if there is more than one worker.
        """
        return self.workers > 1 and stage.shards

    def check_scheduler(self) -> None:
        """Look whether somebody listens at the scheduler's address.

        Raises:
            FlowError: nobody does.
        """
        found = _ADDRESS.fullmatch(self.scheduler or "")
        if not found:
            return
        try:
            address = found["host"].strip("[]"), int(found["port"])
            socket.create_connection(address, timeout=CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise FlowError(
                f"scheduler {self.scheduler}: no scheduler answers ({one_line(error)})"
            ) from error


def shard_commands(stage: Stage, count: int) -> dict[str, list[str]]:
    """Derive the command lines of the shards from that of the stage.

    Args:
        stage: one that takes shards.
        count: number of shards.

    Returns:
        Name of each shard to program and arguments, a shell as for DVC.

    Raises:
        FlowError: the stage has several commands.
    """
    if "\n" in stage.command.strip():
        raise FlowError(f"{stage.name}: has several commands; only one can be divided into shards")
    return {
        f"{stage.name} {index}/{count}": ["sh", "-c", f"{stage.command} --shard {index}/{count}"]
        for index in range(1, count + 1)
    }


def with_threads(command: Sequence[str], threads: int) -> list[str]:
    """Limit the threads of a command's numerical libraries.

    Args:
        command: program and arguments.
        threads: threads it may use.

    Returns:
        Program and arguments.
    """
    return ["env", f"OMP_NUM_THREADS={threads}", f"MKL_NUM_THREADS={threads}", *command]


@dataclass(frozen=True)
class Worker:
    """A Dask worker.

    Attributes:
        host: the machine it runs on.
        slots: tasks it runs at once.
        cores: cores of that machine.
    """

    host: str
    slots: int
    cores: int


def threads_of(workers: Mapping[str, Worker], shards: int) -> dict[str, int]:
    """Divide the cores of each machine among the shards that may run there at once.

    Args:
        workers: workers by address.
        shards: number of shards.

    Returns:
        Threads of one shard by the address of its worker, at least 1.
    """
    slots: Counter[str] = Counter()
    for worker in workers.values():
        slots[worker.host] += worker.slots
    return {
        address: max(1, worker.cores // min(slots[worker.host], shards))
        for address, worker in workers.items()
    }
