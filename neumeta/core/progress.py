"""Progress: a bar on a terminal, elsewhere a line every 20 seconds with share and time left.

Loops may lie inside each other: the networks of a comparison, the epochs of one, its steps. A line
tells of the outermost loop, by whose items the work is counted, and in brackets where the loops
inside it are. While a command works (`working`), a thread sees to it that a line comes in time,
also from within a step that takes minutes. The time since the last line runs on from one loop to
the next: many short ones are no reason to be silent. Of the processes of `torchrun` one tells.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tqdm import tqdm

from neumeta.core.loop import Loop, clock_text, lead, progress_line

LINE_EVERY_SECONDS = 20.0
START_UP_SECONDS = 5.0  # that an interpreter took for its imports, in which nobody told anything
_log = logging.getLogger("neumeta")
T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """What runs under a name.

    Attributes:
        title: The name; empty outside of a command.
        loops: The loops that run, the outermost first.
        start: When it began, seconds.
    """

    title: str
    loops: list[Loop]
    start: float


class Reporter:
    """What runs in this process, and when it was last told."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing.

        Args:
            clock: Gives the time, seconds.
        """
        self.clock = clock
        self.title = ""
        self.loops: list[Loop] = []
        self._start = self._told = self._busy = clock()
        self._lock = threading.Lock()

    def begin(self, title: str) -> Work:
        """Start work under a name.

        Args:
            title: Shown before all else.

        Returns:
            The work of which this is a part, for `resume`.
        """
        outer = Work(self.title, self.loops, self._start)
        self._start = self.clock()
        if not outer.title:
            self._told = self._start - START_UP_SECONDS
        self.title, self.loops = title, []
        return outer

    def resume(self, work: Work) -> None:
        """End what `begin` started and go on with what was around it.

        Args:
            work: That `begin` gave.
        """
        self.title, self.loops, self._start = work.title, work.loops, work.start

    def enter(self, label: str, unit: str, total: int, done: int) -> Loop:
        """Start a loop inside those that run.

        Args:
            label: See `Loop`.
            unit: Likewise.
            total: Likewise.
            done: Items done before.

        Returns:
            The loop; `leave` ends it.
        """
        now = self.clock()
        # Not within a command, and not soon after another loop: the first line counts from here.
        if not (self.loops or self.title) and now - self._busy > LINE_EVERY_SECONDS:
            self._told = now
        loop = Loop(label, unit, total, done, now)
        self.loops.append(loop)
        return loop

    def leave(self, loop: Loop) -> None:
        """End a loop, and what was left open inside it.

        Args:
            loop: That `enter` gave.
        """
        self._busy = self.clock()
        if loop in self.loops:
            del self.loops[self.loops.index(loop) :]

    def wait(self) -> float:
        """Tell how long nothing need be said.

        Returns:
            Seconds; at most 0 if a line is due.
        """
        return self._told + LINE_EVERY_SECONDS - self.clock()

    def heard(self) -> None:
        """Note that others told where the work is: the next line counts from here."""
        self._told = self.clock()

    def tick(self) -> None:
        """Log a line if one is due."""
        if self.wait() > 0:
            return
        with self._lock:
            if self.wait() <= 0:
                self._told = self.clock()
                _log.info(self.line())

    def line(self) -> str:
        """Tell where the work is.

        Returns:
            For example `train digits-lenet: 1/3 INRs, 70.0 s/INR, 2:20 left (seed 1: 300/1400
            steps)`.
        """
        now, loops = self.clock(), list(self.loops)
        if not loops:
            return f"{self.title}: {clock_text(now - self._start)} so far"
        share = 0.0
        for loop in reversed(loops[1:]):
            share = (loop.done + share) / loop.total if loop.total else 0.0
        outer = loops[0]
        label = ": ".join(text for text in (self.title, outer.label) if text)
        rate = outer.rate(now, share)
        text = progress_line(label, outer.unit, outer.done, outer.total, rate, share)
        inner = [f"{lead(i.label)}{i.done}/{i.total} {i.unit}s" for i in loops[1:]]
        details = inner or [loop.item for loop in loops if loop.item]
        return f"{text} ({', '.join(details)})" if details else text


_reporter = Reporter()


def progress(
    items: Sequence[T],
    label: str,
    unit: str = "step",
    done: int = 0,
    name: Callable[[T], str] | None = None,
) -> Iterator[T]:
    """Iterate and show how far it is.

    Args:
        items: What remains to be done.
        label: Shown before the numbers.
        unit: Name of one item.
        done: Items done before, by an interrupted run.
        name: Names an item, to be shown while nothing inside it shows its own progress.

    Yields:
        The items.
    """
    reporter = _reporter
    nested = bool(reporter.loops)
    loop = reporter.enter(label, unit, done + len(items), done)
    bar = None
    if sys.stderr.isatty() and speaks() and not (nested and loop.total == 1):
        bar = tqdm(desc=label, unit=unit, initial=done, total=loop.total, leave=not nested)
    try:
        for item in items:
            loop.item = name(item) if name else ""
            yield item
            loop.advance(reporter.clock())
            if bar is None:
                reporter.tick()
            else:
                bar.update()
    finally:
        reporter.leave(loop)
        if bar is not None:
            bar.close()


@contextmanager
def working(title: str) -> Iterator[None]:
    """Give the work a name, and tell in time where it is, whatever takes long.

    Args:
        title: Shown in every line.

    Yields:
        Nothing.
    """
    reporter, over = _reporter, threading.Event()
    outer = reporter.begin(title)

    def watch() -> None:
        while not over.wait(max(reporter.wait(), 0.01)):
            if sys.stderr.isatty() and reporter.loops:  # a bar shows it
                over.wait(LINE_EVERY_SECONDS)
            else:
                reporter.tick()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        reporter.resume(outer)


def speaks(env: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this process is the one that tells of the work.

    Args:
        env: The environment, in which `torchrun` numbers the processes it started.

    Returns:
        True for a process alone, and for the first of several.
    """
    return "TORCHELASTIC_RUN_ID" not in env or env.get("RANK", "0") == "0"


def heard() -> None:
    """Stay silent for a while, because processes of this work told how far they are."""
    _reporter.heard()


def current_title() -> str:
    """Name the work of this process.

    Returns:
        What `working` was given; empty outside.
    """
    return _reporter.title
