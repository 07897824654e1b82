import io
import logging
import sys
import time

import pytest

from neumeta.core import progress as module
from neumeta.core.loop import progress_line
from neumeta.core.progress import (
    LINE_EVERY_SECONDS,
    START_UP_SECONDS,
    Reporter,
    progress,
    speaks,
    working,
)


class Clock:
    """Time that passes on request, seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "_reporter", Reporter(clock))
    caplog.set_level(logging.INFO, logger="neumeta")
    return clock


def test_line_tells_speed_and_time_left() -> None:
    assert progress_line("train", "step", 300, 1200, 25.0) == (
        "train: 300/1200 steps, 25.0 steps/s, 0:36 left"
    )
    assert progress_line("fit", "epoch", 1, 4, 1 / 70) == (
        "fit: 1/4 epochs, 70.0 s/epoch, 3:30 left"
    )
    assert progress_line("", "INR", 0, 3, 0.0) == "0/3 INRs, time left not known yet"


def test_lines_without_a_terminal_come_within_half_a_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number, item in enumerate(progress(range(6), "x", done=4)):
        assert item == number
        clock.now += 15
    assert caplog.messages == [
        "x: 6/10 steps, 15.0 s/step, 1:00 left",
        "x: 8/10 steps, 15.0 s/step, 0:30 left",
        "x: 10/10 steps, 15.0 s/step, 0:00 left",
    ]


def test_inner_loops_are_told_with_the_share_of_the_stage(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Two networks of 100 s each, of four epochs of 25 steps: no silence beyond half a minute."""
    module._reporter.begin("baselines digits")
    told: list[float] = []
    for _ in progress(range(2), "", "network", done=1, name=lambda n: f"number {n}"):
        for _ in progress(range(4), "individual h=3", "epoch"):
            for _ in progress(range(25), ""):
                clock.now += 1
                seen = len(told)
                told += [clock.now] * (len(caplog.messages) - seen)
    assert max(b - a for a, b in zip([995.0, *told], told, strict=False)) <= 21
    assert caplog.messages == [
        f"baselines digits: {line}"
        for line in (
            "1/3 networks, 100.0 s/network, 3:05 left (individual h=3: 0/4 epochs, 15/25 steps)",
            "1/3 networks, 100.0 s/network, 2:45 left (individual h=3: 1/4 epochs, 10/25 steps)",
            "1/3 networks, 100.0 s/network, 2:25 left (individual h=3: 2/4 epochs, 5/25 steps)",
            "1/3 networks, 100.0 s/network, 2:05 left (individual h=3: 2/4 epochs, 25/25 steps)",
            "1/3 networks, 100.0 s/network, 1:45 left (individual h=3: 3/4 epochs, 20/25 steps)",
            "2/3 networks, 100.0 s/network, 1:25 left (individual h=3: 0/4 epochs, 15/25 steps)",
            "2/3 networks, 100.0 s/network, 1:05 left (individual h=3: 1/4 epochs, 10/25 steps)",
            "2/3 networks, 100.0 s/network, 0:45 left (individual h=3: 2/4 epochs, 5/25 steps)",
            "2/3 networks, 100.0 s/network, 0:25 left (individual h=3: 2/4 epochs, 25/25 steps)",
            "2/3 networks, 100.0 s/network, 0:05 left (individual h=3: 3/4 epochs, 20/25 steps)",
        )
    ]


@pytest.mark.parametrize("title", ["", "baselines digits"])
def test_many_short_loops_are_not_silent(
    clock: Clock, caplog: pytest.LogCaptureFixture, title: str
) -> None:
    """Phases of 18 s each, in a command and without one: the time runs on from one to the next."""
    if title:
        module._reporter.begin(title)
    told, start = [clock.now], clock.now
    for number in range(15):
        for _ in progress(range(9), f"phase {number}"):
            clock.now += 2
            seen = len(told) - 1
            told += [clock.now] * (len(caplog.messages) - seen)
    assert len(told) > 10
    assert max(b - a for a, b in zip(told, [*told[1:], clock.now], strict=True)) <= 30
    assert clock.now - start == 270


def test_after_a_pause_the_first_line_of_a_loop_counts_from_its_start(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a notebook, where minutes pass between two calls."""
    clock.now += 600
    for _ in progress(range(3), "short"):
        clock.now += 5
    assert caplog.messages == []


def test_work_inside_other_work_gives_the_name_back(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with working("neumeta code"):
        for _ in progress(range(2), "twins", "run"):
            with working("train digits"):
                assert module._reporter.line() == "train digits: 0:00 so far"
            assert module._reporter.line().startswith("neumeta code: twins: ")
    assert module.current_title() == "" and module._reporter.loops == []


def test_of_the_processes_of_torchrun_one_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speaks({}) and speaks({"RANK": "1"})  # of another launcher's making: a process alone
    assert speaks({"TORCHELASTIC_RUN_ID": "a", "RANK": "0"})
    assert not speaks({"TORCHELASTIC_RUN_ID": "a", "RANK": "1"})
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress(range(3), "walk")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_speed_is_that_of_late(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """After fast steps come slow ones: the time left soon follows."""
    for step in progress(range(400), "x"):
        clock.now += 0.01 if step < 200 else 2.0
    assert "x: 290/400 steps, 2.0 s/step, 3:40 left" in caplog.messages


def test_a_loop_that_breaks_off_leaves_nothing(clock: Clock) -> None:
    def broken() -> None:
        for _ in progress(range(3), "outer"):
            for _ in progress(range(3), "inner"):
                raise ValueError

    with pytest.raises(ValueError):
        broken()
    assert module._reporter.loops == []


def test_a_step_that_takes_long_is_not_silent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lines come from a thread while the work says nothing; here every 50 ms."""
    assert LINE_EVERY_SECONDS + START_UP_SECONDS <= 25
    monkeypatch.setattr(module, "LINE_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # no terminal
    caplog.set_level(logging.INFO, logger="neumeta")
    with working("permute digits"):
        time.sleep(0.3)
        for _ in progress(range(2), "orders", "group", name=lambda n: f"group {n}"):
            time.sleep(0.3)
    lines = len(caplog.messages)
    assert caplog.messages[0] == "permute digits: 0:00 so far"
    assert "permute digits: orders: 0/2 groups, time left not known yet (group 0)" in (
        caplog.messages
    )
    second = [line for line in caplog.messages if "orders: 1/2 groups" in line]
    assert second and all(line.endswith(" left (group 1)") for line in second)
    assert lines >= 9  # of 18 in 0.9 s: a busy machine may be late
    time.sleep(0.2)
    assert len(caplog.messages) == lines  # the work is over


def test_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress(range(3), "walk")) == [0, 1, 2]
    shown = capsys.readouterr().err
    assert "walk" in shown
    assert "3/3" in shown


def test_what_other_processes_of_the_work_tell_counts(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for step in progress(range(10), "walk"):
        clock.now += 10
        if step % 2:
            module.heard()
    assert caplog.messages == []
