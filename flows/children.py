"""Child processes: live lines, one process group each, and none left when the flow ends.

Prefect raises its termination signal in the main thread only, and a task runs in a thread of a
pool, so neither the task nor its child would notice a cancelled flow. Therefore each child leads
its own process group, all groups are registered in `CHILDREN`, and the flow body ends them on any
exception with `CHILDREN.stop()`. `flows.guard` covers the case that the flow itself is killed.
"""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from flows.environment import child_environment

GRACE = 2.0  # seconds between SIGTERM and SIGKILL
TAIL = 40  # lines kept for the error message
GUARD = Path(__file__).with_name("guard.py")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class ChildResult:
    """How a child process ended.

    Attributes:
        code: exit code, 128 + n where signal n ended it.
        tail: the last lines it wrote.
    """

    code: int
    tail: tuple[str, ...]


class Runner(Protocol):
    """Runs a command and reports its lines; tests use a fake."""

    def __call__(
        self, command: Sequence[str], cwd: Path, on_line: Callable[[str], None]
    ) -> ChildResult:
        """Run a command to its end.

        Args:
            command: program and arguments.
            cwd: the folder to run in.
            on_line: receives every line of output, stdout and stderr merged, as it is written.

        Returns:
            The exit code and the last lines.
        """


@dataclass(frozen=True)
class Child:
    """A running child process.

    Attributes:
        process: the guard, leader of the group.
        pipe: descriptor of the pipe that tells the guard we are alive.
    """

    process: "subprocess.Popen[bytes]"
    pipe: int


class StoppedError(RuntimeError):
    """The flow was cancelled: no further child is started."""


class ChildGroups:
    """The process groups of the running children; safe to use from several threads."""

    def __init__(self, grace: float = GRACE) -> None:
        """Start with no group.

        Args:
            grace: seconds between SIGTERM and SIGKILL.
        """
        self._grace = grace
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called since `open`."""
        return self._stopped

    def open(self) -> None:
        """Allow children again; called when a flow run starts."""
        with self._lock:
            self._stopped = False

    def start(
        self,
        command: Sequence[str],
        cwd: Path,
        stdout: int | IO[bytes] = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a command under the guard, in a new registered process group.

        Args:
            command: program and arguments.
            cwd: the folder to run in.
            stdout: where its output goes, stderr merged in.
            env: its environment; None for that of a stage.

        Returns:
            The child.

        Raises:
            StoppedError: the flow is being cancelled.
        """
        read_end, write_end = os.pipe()  # close-on-exec: no other child inherits either end
        guarded = [
            *(sys.executable, "-I", "-S"),  # a bare interpreter starts fastest
            str(GUARD),
            str(read_end),
            str(self._grace),
            *command,
        ]
        try:
            with self._lock:
                if self._stopped:
                    raise StoppedError("not started: the flow was cancelled")
                process = subprocess.Popen(
                    guarded,
                    cwd=cwd,
                    env=child_environment() if env is None else env,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=subprocess.STDOUT,
                    pass_fds=(read_end,),
                    start_new_session=True,
                )
                self._groups.add(process.pid)
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        return Child(process, write_end)

    def finish(self, child: Child) -> None:
        """End what is left of a child's group and forget it.

        Args:
            child: a child from `start`.
        """
        end_groups([child.process.pid], self._grace, child.process.poll)
        child.process.wait()
        with self._lock:
            self._groups.discard(child.process.pid)
        os.close(child.pipe)
        if child.process.stdout:
            child.process.stdout.close()

    def stop(self) -> None:
        """End all children and start no further ones until `open`."""
        with self._lock:
            self._stopped = True
            groups = list(self._groups)
        end_groups(groups, self._grace)


CHILDREN = ChildGroups()


def end_groups(
    groups: Sequence[int], grace: float = GRACE, reap: Callable[[], object] = lambda: None
) -> None:
    """End process groups: SIGTERM to all, then SIGKILL to those that are left.

    Args:
        groups: group ids.
        grace: seconds between the two.
        reap: called while waiting, to collect the leader's exit status.
    """
    left = [group for group in groups if _signal(group, signal.SIGTERM)]
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        reap()
        time.sleep(0.02)
        left = [group for group in left if _signal(group, 0)]
    for group in left:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Send a signal to a group; tell whether the group still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def clean_line(raw: str) -> str:
    """Make a log line of a line of output: the last state of a progress bar, without colours.

    Args:
        raw: a line as read, with its newline.

    Returns:
        The text to log, possibly empty.
    """
    parts = [part for part in raw.rstrip("\r\n").split("\r") if part.strip()]
    return _COLOUR.sub("", parts[-1]).rstrip() if parts else ""


def run_child(command: Sequence[str], cwd: Path, on_line: Callable[[str], None]) -> ChildResult:
    """Run a command to its end in its own process group; no process of it is left afterwards.

    Args:
        command: program and arguments.
        cwd: the folder to run in.
        on_line: receives every non-empty line of output as it is written.

    Returns:
        The exit code and the last lines.
    """
    child = CHILDREN.start(command, cwd)
    tail: deque[str] = deque(maxlen=TAIL)
    try:
        assert child.process.stdout is not None
        # Lines end at a newline alone: a carriage return only redraws a progress bar.
        with io.TextIOWrapper(child.process.stdout, "utf-8", "replace", newline="\n") as lines:
            for raw in lines:
                if line := clean_line(raw):
                    tail.append(line)
                    on_line(line)
        code = child.process.wait()
    finally:
        CHILDREN.finish(child)
    return ChildResult(128 - code if code < 0 else code, tuple(tail))
