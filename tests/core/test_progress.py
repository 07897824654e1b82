import logging
import sys

import pytest

from neumeta.core import progress as module
from neumeta.core.progress import progress, progress_line


def test_line_tells_speed_and_time_left() -> None:
    assert progress_line("train", "step", 300, 1200, 25.0) == (
        "train: 300/1200 steps, 25.0 steps/s, 0:36 left"
    )
    assert progress_line("fit", "epoch", 1, 4, 1 / 70) == (
        "fit: 1/4 epochs, 70.0 s/epoch, 3:30 left"
    )


def test_a_line_a_minute_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter(float(second) for second in range(0, 10_000, 25))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, logger="neumeta"):
        assert list(progress(range(6), "x", done=4)) == list(range(6))
    assert caplog.messages == [
        "x: 7/10 steps, 25.0 s/step, 1:15 left",
        "x: 10/10 steps, 25.0 s/step, 0:00 left",
    ]


def test_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress(range(3), "walk")) == [0, 1, 2]
    shown = capsys.readouterr().err
    assert "walk" in shown
    assert "3/3" in shown
