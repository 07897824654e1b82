"""A part of `python -m tests.bad_inputs`, and proof that it sees what it looks for."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.bad_inputs import place
from tests.bad_inputs.kinds import KINDS
from tests.bad_inputs.lines import NEUMETA, lines
from tests.bad_inputs.tries import Case, Count, attempt, tried

EACH = 25


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place.furnish(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_one_line_and_loses_nothing(kind: str, folder: Path) -> None:
    count = tried(folder, KINDS[kind], EACH, seed=1)
    assert count.failures == []
    assert count.refused == EACH


def test_every_form_of_a_command_line_is_good_before_a_word_is_spoilt(folder: Path) -> None:
    """Else the fault that is told would be another one: of stages, as far as they read."""
    sample = [NEUMETA, "sample", place.INR, "--width=3", "--out=new.safetensors"]
    assert next(lines(folder, random.Random(0))).command[0].startswith("neumeta")
    count = Count()
    attempt(folder, Case("nothing is bad", sample, harmless=True), count)
    assert (count.taken, count.failures) == (1, [])


def crash() -> int:
    raise ValueError("x")


def say(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


def lose(name: str) -> int:
    Path(name).unlink()
    return say("a")


def leave(name: str) -> int:
    Path(name).touch()
    return say("a")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (crash, "a traceback"),
        (lambda: 0, "was taken"),
        (lambda: say("a\nb"), "not one line"),
        (lambda: say(""), "not one line"),
        (lambda: say("a\x1b[2J"), "not one line"),
        (lambda: lose("mine.csv"), "files changed"),
        (lambda: leave("new.txt"), "files changed"),
        (lambda: lose("link.safetensors"), "files changed"),
    ],
)
def test_what_is_looked_for_is_seen(
    command: Callable[[], int], told: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = SimpleNamespace(main=lambda words: command())
    monkeypatch.setitem(sys.modules, "wrong_command", wrong)
    before, count = place.contents(folder), Count()
    attempt(folder, Case("wrong", ["wrong_command"]), count)
    assert (count.refused, count.taken) == (0, 0)
    assert told in count.failures[0]
    assert place.contents(folder) == before
