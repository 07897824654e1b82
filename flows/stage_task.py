"""One stage of the pipeline = one Prefect task = one child `dvc repro --single-item`."""

import logging
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import MissingContextError

from flows.children import CHILDREN, ChildResult, Runner, run_child
from flows.errors import one_line
from flows.heartbeat import heartbeat

Outcome = Literal["ran", "cached", "skipped", "failed"]
Cause = Literal["failed", "busy", "network", "stopped"]

RETRIES = 2
RETRY_DELAYS = [2.0, 10.0]  # seconds before the first and the second retry
NETWORK_FAMILIES = frozenset({"data", "fetch", "pull", "push"})  # what may use the network
_BUSY = re.compile(r"unable to acquire .*lock|is busy", re.IGNORECASE)
_NETWORK = re.compile(
    r"timed? ?out|temporary failure|name resolution|connection|network is unreachable"
    r"|URLError|HTTP (Error )?(429|5\d\d)|remote end closed|incomplete ?read",
    re.IGNORECASE,
)
_DVC_HINT = re.compile(
    r"^(To track the changes with git|\s+git add |To enable auto staging|\s+dvc config core\."
    r"|Use `dvc push`|Generating lock file|Updating lock file)"
)
_DVC_SUMMARY = re.compile(r"^(ERROR: failed to reproduce|Having any troubles\?)")


@dataclass(frozen=True)
class StageResult:
    """What became of a stage in a run.

    Attributes:
        name: the stage.
        outcome: `ran`; `cached` (up to date, or restored from DVC's run cache); `failed`;
            `skipped` (not started, because a stage it reads from failed).
        note: how it was cached, why it failed, or after which stage it was skipped.
        seconds: wall time of the child process, 0 where there was none.
    """

    name: str
    outcome: Outcome
    note: str = ""
    seconds: float = 0.0


class StageError(RuntimeError):
    """A child process ended with an error.

    Attributes:
        name: the stage, or the DVC command.
        cause: `busy` (DVC's lock), `network`, `stopped` (the flow was cancelled) or `failed`.
    """

    def __init__(self, name: str, cause: Cause, message: str) -> None:
        """Describe the failure.

        Args:
            name: the stage, or the DVC command.
            cause: see the attributes.
            message: one line.
        """
        super().__init__(message)
        self.name = name
        self.cause = cause

    def __reduce__(self) -> tuple[type["StageError"], tuple[str, Cause, str]]:
        """Survive the way from a worker in another process."""
        return StageError, (self.name, self.cause, str(self))


def dvc_command(*arguments: str) -> list[str]:
    """Make a DVC command line for the running interpreter.

    Args:
        *arguments: DVC's command and its arguments.

    Returns:
        Program and arguments.
    """
    return [sys.executable, "-m", "dvc", *arguments]


def stage_command(name: str, force: bool = False) -> list[str]:
    """Make the command line of one stage.

    `--single-item` is the only form of `dvc repro` that may run beside another one, and
    `--wait-for-lock` lets the two take turns at the repository's lock.

    Args:
        name: the stage.
        force: run it even if nothing changed.

    Returns:
        Program and arguments.
    """
    flags = ["--force"] if force else []
    return dvc_command("--wait-for-lock", "repro", "--single-item", *flags, name)


def outcome_of(name: str, line: str) -> tuple[Outcome, str] | None:
    """Read from a line of DVC's output what DVC does with a stage.

    Args:
        name: the stage.
        line: a line of output.

    Returns:
        The outcome with its note; None where the line says nothing about it.
    """
    if line.startswith(f"Running stage '{name}'"):
        return "ran", ""
    if f"'{name}' didn't change, skipping" in line:
        return "cached", "up to date"
    if line.startswith(f"Stage '{name}' is cached - skipping run"):
        return "cached", "restored from the run cache"
    return None


def failure(name: str, result: ChildResult) -> StageError:
    """Describe a child process that ended with an error.

    Args:
        name: the stage, or the DVC command.
        result: how it ended.

    Returns:
        The error, its message one line: the last line that the stage itself wrote.
    """
    text = "\n".join(result.tail)
    own = [line for line in result.tail if not _DVC_SUMMARY.match(line)] or list(result.tail)
    last = one_line(own[-1]) if own else "no output"
    cause: Cause = "failed"
    if CHILDREN.stopped:
        cause = "stopped"
    elif _BUSY.search(text) and "Running stage" not in text:
        cause = "busy"
    elif name.partition("@")[0] in NETWORK_FAMILIES and _NETWORK.search(text):
        cause = "network"
    return StageError(name, cause, f"{name} ended with exit code {result.code}: {last}")


def execute(
    name: str,
    command: Sequence[str],
    root: Path,
    log: Callable[[str], None],
    runner: Runner = run_child,
) -> StageResult:
    """Run a stage's command and find out what DVC did.

    Args:
        name: the stage, or the DVC command.
        command: program and arguments.
        root: the repository.
        log: receives every line of output but DVC's hints on git.
        runner: the process boundary.

    Returns:
        The result; its outcome is `ran` or `cached`.

    Raises:
        StageError: the command's exit code was not 0.
    """
    found: list[tuple[Outcome, str]] = []

    start = time.monotonic()
    with heartbeat(name, log) as heard:

        def on_line(line: str) -> None:
            if outcome := outcome_of(name, line):
                found.append(outcome)
            if not _DVC_HINT.match(line):
                heard()
                log(line)

        result = runner(command, root, on_line)
    if result.code != 0:
        raise failure(name, result)
    outcome, note = found[-1] if found else ("ran", "")
    return StageResult(name, outcome, note, time.monotonic() - start)


def worth_retrying(task: Any, task_run: Any, state: Any) -> bool:
    """Decide on a retry: a busy lock and a failed download pass, a failed training does not.

    Args:
        task: the task (unused, Prefect passes it).
        task_run: its run (unused).
        state: the failed state.

    Returns:
        Whether Prefect should retry.
    """
    error = state.data if isinstance(state.data, BaseException) else None
    if error is None:
        try:
            state.result()
        except Exception as raised:
            error = raised
    return isinstance(error, StageError) and error.cause in ("busy", "network")


def run_logger() -> logging.Logger | logging.LoggerAdapter[Any]:
    """Find where lines go: the run's logger, or the standard library's outside a run.

    Returns:
        A logger.
    """
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("flows")


@task(
    task_run_name="{name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_retrying,
)
def run_child_task(name: str, command: list[str], root: str) -> StageResult:
    """Run one stage, or one command around the stages, its output live in this task's log.

    Args:
        name: the stage, or what to call the command.
        command: program and arguments.
        root: the repository.

    Returns:
        The result; its outcome is `ran` or `cached`.

    Raises:
        StageError: the command's exit code was not 0.
    """
    log = run_logger()
    try:
        result = execute(name, command, Path(root), log.info)
    except StageError as error:
        log.error("%s", error)
        raise
    note = f" ({result.note})" if result.note else ""
    log.info("%s: %s%s, %.1f s", name, result.outcome, note, result.seconds)
    return result
