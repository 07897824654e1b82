"""Copies of a stage side by side: their number, their words, and their end."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.jobs import Job, JobStore
from neumeta.core.side_by_side import MOST_WORKERS, run_together, workers
from tests.toy import ROOT


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_number_follows_the_cores_and_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEUMETA_WORKERS", raising=False)
    for cores, threads, wanted in ((2, 1, 2), (2, 2, 1), (1, 1, 1), (2, 3, 1), (6, 2, 3)):
        monkeypatch.setattr("neumeta.core.side_by_side._cores", partial(int, cores))
        assert workers(threads) == wanted
    monkeypatch.setattr("neumeta.core.side_by_side._cores", lambda: 256)
    assert workers(1) == MOST_WORKERS
    monkeypatch.setenv("NEUMETA_WORKERS", "12")
    assert workers(1) == 12


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "9999", "²"])
def test_another_number_is_one_line(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUMETA_WORKERS", value)
    with pytest.raises(UserError, match=f"NEUMETA_WORKERS='{value}': must be a whole number"):
        workers(1)


def test_pieces_of_work_that_wait(tmp_path: Path) -> None:
    store: JobStore[int] = JobStore(tmp_path, "shared", encode=int, decode=int)
    jobs = [Job(str(k), k, partial(int, k), together=k % 2 if k < 4 else None) for k in range(6)]
    assert store.waiting(jobs) == 4, "two pairs, and two alone"
    store.run(jobs[:1])
    assert store.waiting(jobs) == 4, "half of a pair is left"
    store.run(jobs[2:3])
    assert store.waiting(jobs) == 3
    store.run(jobs)
    assert store.waiting(jobs) == 0


def test_what_they_say_is_passed_on_with_their_number(capfd: pytest.CaptureFixture[str]) -> None:
    run_together([python("print('a'); import sys; print('b', file=sys.stderr)"), python("")])
    assert sorted(capfd.readouterr().err.splitlines()) == ["[1/2] a", "[1/2] b"]


def test_a_failure_waits_for_the_others(tmp_path: Path) -> None:
    later = tmp_path / "later"
    slow = f"import time, pathlib; time.sleep(1); pathlib.Path({str(later)!r}).touch()"
    with pytest.raises(UserError, match="process 1 of 2 failed, see above; what is finished is"):
        run_together([python("raise SystemExit(3)"), python(slow)])
    assert later.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_they_end_with_the_stage(number: int, tmp_path: Path) -> None:
    child = f"import os, time; open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'w'); time.sleep(60)"
    parent = f"""
import sys
from neumeta.core.side_by_side import run_together
run_together([[sys.executable, "-c", {child!r}]] * 2)
"""
    with subprocess.Popen(
        python(parent), env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    ) as running:
        for _ in range(600):
            if len(pids := [int(path.name) for path in tmp_path.iterdir()]) == 2:
                break
            time.sleep(0.05)
        running.send_signal(number)
        assert running.wait(20) != 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
