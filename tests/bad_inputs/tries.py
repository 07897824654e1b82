"""Trying one bad input: how the command ended, and what became of the folder."""

import contextlib
import importlib
import io
import os
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from tests.bad_inputs.place import contents, restore

Command = list[str]


@dataclass(frozen=True)
class Case:
    """A bad input.

    Attributes:
        told: What is bad, for people.
        command: The module and its words.
        files: Files that are put into the folder for it.
        harmless: Whether it may turn out to be good: random damage can hit what means nothing.
    """

    told: str
    command: Command
    files: dict[str, bytes] = field(default_factory=dict)
    harmless: bool = False


@dataclass
class Count:
    """What became of the cases of one kind.

    Attributes:
        refused: By one line, a status other than 0, and nothing changed.
        taken: Read, as the damage meant nothing.
        failures: All else, told.
    """

    refused: int = 0
    taken: int = 0
    failures: list[str] = field(default_factory=list)


Cases = Callable[[Path, random.Random], Iterator[Case]]


def run(command: Sequence[str]) -> tuple[int | str, str, str]:
    """Run a command in this process.

    Args:
        command: The module and its words.

    Returns:
        Its status, or the end of a traceback; what it wrote to the two outputs.
    """
    module, *words = command
    out, err = io.StringIO(), io.StringIO()
    status: int | str
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = importlib.import_module(module).main(words)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:  # a failure is what is looked for
            status = "".join(traceback.format_exc().splitlines(keepends=True)[-4:])
    return status, out.getvalue(), err.getvalue()


def attempt(folder: Path, case: Case, count: Count) -> None:
    """Try one case and count it.

    Args:
        folder: Where it runs; as before, afterwards.
        case: What is tried.
        count: Of its kind.
    """
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before = contents(folder)
    with patch.dict(os.environ, {"NEUMETA_DEVICE": "cpu"}), contextlib.chdir(folder):
        status, out, err = run(case.command)
    changed = contents(folder) != before
    lines = err.strip("\n").split("\n")
    if isinstance(status, str):
        fault = f"a traceback: {status}"
    elif status == 0:
        fault = "" if case.harmless else f"was taken: {out}{err}"
        count.taken += not fault
    elif len(lines) != 1 or not lines[0].isprintable() or not lines[0].strip():
        fault = f"not one line: {err!r}"
    else:
        fault = "files changed" if changed else ""
        count.refused += not fault
    if fault:
        count.failures.append(f"{case.told}: {' '.join(case.command)[:200]}: {fault}")
    if changed:
        restore(folder, before)
    for name in case.files:
        (folder / name).unlink(missing_ok=True)


def tried(folder: Path, cases: Cases, wanted: int, seed: int) -> Count:
    """Try cases until as many as wanted were refused.

    Args:
        folder: Furnished.
        cases: An endless stream of them.
        wanted: How many.
        seed: Of what is drawn.

    Returns:
        What became of them.
    """
    count = Count()
    for case in cases(folder, random.Random(seed)):
        attempt(folder, case, count)
        if count.refused + len(count.failures) >= wanted:
            break
    return count
