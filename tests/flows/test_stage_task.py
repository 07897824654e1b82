"""One stage: its command, what its output means, and which failures are tried again."""

import pickle
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from prefect.states import Failed, State

from flows import stage_task
from flows.children import ChildResult
from flows.heartbeat import SILENCE, heartbeat
from flows.stage_task import (
    RETRIES,
    StageError,
    execute,
    failure,
    outcome_of,
    run_child_task,
    stage_command,
    worth_retrying,
)

FAILED = ("ValueError: no such width", "ERROR: failed to reproduce 'train@a': failed to run: x")


class FakeRunner:
    """Stands in for a process: writes lines, ends with a code, remembers what it was asked."""

    def __init__(self, code: int, *lines: str) -> None:
        self.code, self.lines = code, lines
        self.asked: list[tuple[list[str], Path]] = []

    def __call__(
        self, command: Sequence[str], cwd: Path, on_line: Callable[[str], None]
    ) -> ChildResult:
        self.asked.append((list(command), cwd))
        for line in self.lines:
            on_line(line)
        return ChildResult(self.code, self.lines)


def test_the_command_is_a_single_item_that_waits_for_the_lock() -> None:
    assert stage_command("train@a") == [
        *(sys.executable, "-m", "dvc", "--wait-for-lock"),
        *("repro", "--single-item", "train@a"),
    ]
    assert stage_command("train@a", force=True)[-2:] == ["--force", "train@a"]


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("Running stage 'train@a':", ("ran", "")),
        ("Stage 'train@a' didn't change, skipping", ("cached", "up to date")),
        (
            "Stage 'train@a' is cached - skipping run, checking out outputs",
            ("cached", "restored from the run cache"),
        ),
        ("Running stage 'train@b':", None),
        ("step 10", None),
    ],
)
def test_outcome_of_a_line(line: str, outcome: tuple[str, str] | None) -> None:
    assert outcome_of("train@a", line) == outcome


def test_execute_logs_the_lines_without_dvcs_hints(tmp_path: Path) -> None:
    runner = FakeRunner(
        *(0, "Running stage 'train@a':", "step 1", "Updating lock file 'dvc.lock'"),
        *("To track the changes with git, run:", "\tgit add dvc.lock"),
    )
    logged: list[str] = []
    result = execute("train@a", ["x"], tmp_path, logged.append, runner)
    assert (result.name, result.outcome) == ("train@a", "ran")
    assert logged == ["Running stage 'train@a':", "step 1"]
    assert runner.asked == [(["x"], tmp_path)]


def test_execute_tells_an_unchanged_stage(tmp_path: Path) -> None:
    runner = FakeRunner(
        0, "Stage 'a' didn't change, skipping", "Data and pipelines are up to date."
    )
    result = execute("a", ["x"], tmp_path, print, runner)
    assert (result.outcome, result.note) == ("cached", "up to date")


def test_a_failure_is_one_line_with_the_stages_own_last_words(tmp_path: Path) -> None:
    with pytest.raises(StageError) as raised:
        execute("train@a", ["x"], tmp_path, print, FakeRunner(255, *FAILED))
    assert str(raised.value) == "train@a ended with exit code 255: ValueError: no such width"
    assert raised.value.cause == "failed"


@pytest.mark.parametrize(
    ("name", "lines", "cause"),
    [
        ("train@a", FAILED, "failed"),
        ("train@a", ("Running stage 'train@a':", "connection timed out"), "failed"),
        ("fetch@a", ("Running stage 'fetch@a':", "connection timed out"), "network"),
        ("data@mnist", ("urllib.error.URLError: <urlopen error>",), "network"),
        ("data@mnist", ("HTTP Error 503: Service Unavailable",), "network"),
        ("fetch@a", ("HTTP Error 404: Not Found",), "failed"),
        ("fetch@a", ("fetch: sha256 is 12, expected 34",), "failed"),
        ("pull", ("ERROR: Temporary failure in name resolution",), "network"),
        ("train@a", ("ERROR: Unable to acquire lock. Most likely another DVC",), "busy"),
        ("train@a", ("ERROR: '/x/y' is busy, it is being blocked by:",), "busy"),
        # The training wrote such words itself: it is not run again.
        ("train@a", ("Running stage 'train@a':", "device is busy"), "failed"),
    ],
)
def test_only_locks_and_downloads_are_tried_again(
    name: str, lines: tuple[str, ...], cause: str
) -> None:
    error = failure(name, ChildResult(1, lines))
    assert error.cause == cause
    state: State[None] = Failed(data=error, message="x")
    assert worth_retrying(None, None, state) is (cause in ("busy", "network"))


def test_other_errors_are_not_tried_again() -> None:
    assert worth_retrying(None, None, Failed(data=KeyError("x"), message="x")) is False


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(StageError("sweep@a", "busy", "no lock")))
    assert (str(error), error.name, error.cause) == ("no lock", "sweep@a", "busy")


def test_the_task_keeps_no_results_and_asks_before_a_retry() -> None:
    assert run_child_task.persist_result is False
    assert type(run_child_task.cache_policy).__name__ == "_None"
    assert run_child_task.retries == RETRIES > 0
    assert run_child_task.retry_condition_fn is worth_retrying


def test_the_task_runs_without_a_server(tmp_path: Path) -> None:
    result = run_child_task.fn("hello", [sys.executable, "-c", "print('hi')"], str(tmp_path))
    assert result.outcome == "ran" and result.seconds > 0
    with pytest.raises(StageError, match="hello ended with exit code 7: no output"):
        run_child_task.fn("hello", [sys.executable, "-c", "raise SystemExit(7)"], str(tmp_path))


def test_a_silent_child_is_told_of_and_one_that_speaks_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`dvc push` says nothing where there is no terminal; here a line is due every 0.2 s."""

    def silent(command: Sequence[str], cwd: Path, on_line: Callable[[str], None]) -> ChildResult:
        time.sleep(0.7)
        return ChildResult(0, ())

    def speaking(command: Sequence[str], cwd: Path, on_line: Callable[[str], None]) -> ChildResult:
        for _ in range(14):
            on_line("step")
            time.sleep(0.05)
        return ChildResult(0, ())

    assert SILENCE < 30
    monkeypatch.setattr(stage_task, "heartbeat", partial(heartbeat, every=0.2))
    lines: list[str] = []
    execute("push", [], Path(), lines.append, silent)
    assert 2 <= len(lines) <= 3 and set(lines) <= {"push: 0:00 so far", "push: 0:01 so far"}
    lines.clear()
    execute("push", [], Path(), lines.append, speaking)
    assert set(lines) == {"step"}
