"""A loop that runs: how far it is, how fast it is of late, and the text that tells it."""

from collections import deque

SAMPLE_EVERY_SECONDS = 10.0
_SAMPLES = 6  # of positions; speed is that of the last minute, or of the last five slow items


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
    counted = f"{lead(label)}{done}/{total} {unit}s"
    if rate <= 0:
        return f"{counted}, time left not known yet"
    speed = f"{rate:.1f} {unit}s/s" if rate >= 1 else f"{1 / rate:.1f} s/{unit}"
    return f"{counted}, {speed}, {clock_text((total - done - share) / rate)} left"


def lead(label: str) -> str:
    """Put a label before numbers.

    Args:
        label: What runs; may be empty.

    Returns:
        The label with a colon, or nothing.
    """
    return f"{label}: " if label else ""


def clock_text(seconds: float) -> str:
    """Write a time.

    Args:
        seconds: How long.

    Returns:
        Minutes and seconds, such as `2:05`.
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
