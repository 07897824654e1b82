"""Progress: a bar on a terminal, elsewhere a line a minute with speed and time left."""

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

LINE_EVERY_SECONDS = 60.0
_log = logging.getLogger("neumeta")
T = TypeVar("T")


def progress(items: Sequence[T], label: str, unit: str = "step", done: int = 0) -> Iterator[T]:
    """Iterate and show how far it is.

    Args:
        items: What remains to be done.
        label: Shown before the numbers.
        unit: Name of one item.
        done: Items done before, by an interrupted run.

    Yields:
        The items.
    """
    total = done + len(items)
    if sys.stderr.isatty():
        yield from tqdm(items, desc=label, unit=unit, initial=done, total=total)
        return
    start = last = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LINE_EVERY_SECONDS:
            last = now
            _log.info(progress_line(label, unit, done + count, total, count / (now - start)))


def progress_line(label: str, unit: str, done: int, total: int, rate: float) -> str:
    """Text of one line.

    Args:
        label: What runs.
        unit: Name of one item.
        done: Items done.
        total: Items in all.
        rate: Items per second.

    Returns:
        For example `train seed 0: 300/1200 steps, 25.0 steps/s, 0:36 left`; slower than one a
        second it gives seconds per item.
    """
    left = round((total - done) / rate)
    minutes, seconds = divmod(left, 60)
    speed = f"{rate:.1f} {unit}s/s" if rate >= 1 else f"{1 / rate:.1f} s/{unit}"
    return f"{label}: {done}/{total} {unit}s, {speed}, {minutes}:{seconds:02d} left"
