"""Progress: a bar on a terminal, elsewhere a line every half minute with share and time left.

Loops may lie inside each other: the networks of a comparison, the epochs of one, its steps. A line
tells of the outermost loop, by whose items the work is counted, and in brackets where the loops
inside it are. While a stage works (`working`), a thread sees to it that a line comes in time, also
from within a step that takes minutes.
"""

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

LINE_EVERY_SECONDS = 30.0
SAMPLE_EVERY_SECONDS = 10.0
_SAMPLES = 6  # of positions; speed is that of the last minute, or of the last five slow items
_log = logging.getLogger("neumeta")
T = TypeVar("T")


class Loop:
    """A loop that runs.

    Attributes:
        label: Shown before the numbers; may be empty.
        unit: Name of one item.
        total: Items in all.
        done: Items done.
        item: Name of the current item; may be empty.
    """

    def __init__(self, label: str, unit: str, total: int, done: int, now: float) -> None:
        """Start the loop.

        Args:
            label: See the attributes.
            unit: Likewise.
            total: Likewise.
            done: Items done before, by an interrupted run.
            now: Time, seconds.
        """
        self.label, self.unit, self.total, self.done, self.item = label, unit, total, done, ""
        self._samples = deque([(now, done)], maxlen=_SAMPLES)

    def advance(self, now: float) -> None:
        """Count an item.

        Args:
            now: Time, seconds.
        """
        self.done += 1
        if now - self._samples[-1][0] >= SAMPLE_EVERY_SECONDS:
            self._samples.append((now, self.done))

    def rate(self, now: float, share: float) -> float:
        """Items per second of late.

        Args:
            now: Time, seconds.
            share: How much of the current item is done, 0 to 1, as far as loops inside it tell.

        Returns:
            0 where nothing tells.
        """
        start, counted = self._samples[0]
        return (self.done + share - counted) / (now - start) if now > start else 0.0


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
        self._start = self._told = clock()
        self._lock = threading.Lock()

    def begin(self, title: str) -> None:
        """Start work under a name.

        Args:
            title: Shown before all else.
        """
        self.title, self.loops = title, []
        self._start = self._told = self.clock()

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
        if not (self.loops or self.title):  # not within a stage: the first line counts from here
            self._told = self.clock()
        loop = Loop(label, unit, total, done, self.clock())
        self.loops.append(loop)
        return loop

    def leave(self, loop: Loop) -> None:
        """End a loop, and what was left open inside it.

        Args:
            loop: That `enter` gave.
        """
        if loop in self.loops:
            del self.loops[self.loops.index(loop) :]

    def wait(self) -> float:
        """Tell how long nothing need be said.

        Returns:
            Seconds; at most 0 if a line is due.
        """
        return self._told + LINE_EVERY_SECONDS - self.clock()

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
            return f"{self.title}: {_clock_text(now - self._start)} so far"
        share = 0.0
        for loop in reversed(loops[1:]):
            share = (loop.done + share) / loop.total if loop.total else 0.0
        outer = loops[0]
        label = ": ".join(text for text in (self.title, outer.label) if text)
        rate = outer.rate(now, share)
        text = progress_line(label, outer.unit, outer.done, outer.total, rate, share)
        inner = [f"{_lead(i.label)}{i.done}/{i.total} {i.unit}s" for i in loops[1:]]
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
    if sys.stderr.isatty() and not (nested and loop.total == 1):
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
    reporter.begin(title)

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
        reporter.begin("")


def current_title() -> str:
    """Name the work of this process.

    Returns:
        What `working` was given; empty outside.
    """
    return _reporter.title


def progress_line(
    label: str, unit: str, done: int, total: int, rate: float, share: float = 0.0
) -> str:
    """Text of one line.

    Args:
        label: What runs.
        unit: Name of one item.
        done: Items done.
        total: Items in all.
        rate: Items per second; 0 where it is not known yet.
        share: How much of the current item is done, 0 to 1.

    Returns:
        For example `train seed 0: 300/1200 steps, 25.0 steps/s, 0:36 left`; slower than one a
        second it gives seconds per item.
    """
    counted = f"{_lead(label)}{done}/{total} {unit}s"
    if rate <= 0:
        return f"{counted}, time left not known yet"
    speed = f"{rate:.1f} {unit}s/s" if rate >= 1 else f"{1 / rate:.1f} s/{unit}"
    return f"{counted}, {speed}, {_clock_text((total - done - share) / rate)} left"


def _lead(label: str) -> str:
    return f"{label}: " if label else ""


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
