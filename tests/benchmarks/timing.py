"""Measuring two ways side by side, and what the machine can do at best."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

Action = Callable[[], object]


def seconds(action: Action) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Timing:
    """Seconds of one action over the repetitions."""

    median: float
    fastest: float


def side_by_side(actions: Sequence[Action], repeats: int) -> list[Timing]:
    """Measure some actions; they take turns, so that all see the same machine.

    Args:
        actions: What to measure; each is called once before, unmeasured.
        repeats: Measured calls of each.
    """
    for action in actions:
        action()
    rounds = [[seconds(action) for action in actions] for _ in range(repeats)]
    return [Timing(statistics.median(times), min(times)) for times in zip(*rounds, strict=True)]


def flops(action: Action) -> int:
    """Floating-point operations of matrix products and convolutions, backward included."""
    counter = FlopCounterMode(display=False)
    with counter:
        action()
    return int(counter.get_total_flops())


def matmul_peak(dtype: torch.dtype, sizes: Sequence[int], repeats: int) -> float:
    """Best rate of a square matrix product over some sizes, operations per second."""
    best = 0.0
    for size in sizes:
        a, b = torch.randn(2, size, size).to(dtype)
        torch.mm(a, b)
        fastest = min(seconds(partial(torch.mm, a, b)) for _ in range(repeats))
        best = max(best, 2 * size**3 / fastest)
    return best


def line(name: str, ours: str, reference: str, ratio: str) -> str:
    """One result: what it is, both figures with their unit, and their ratio."""
    return f"{name:<30} {ours:>14} {reference:>14} {ratio:>8}"


def compare(name: str, ours: float, reference: float) -> str:
    """A line of two times, seconds, and how many times longer the reference takes."""
    return line(name, as_time(ours), as_time(reference), f"{reference / ours:.2f}")


def share(name: str, rate: float, peak: float) -> str:
    """A line of two rates, operations per second, and their ratio."""
    return line(name, as_rate(rate), as_rate(peak), f"{rate / peak:.2f}")


def as_time(value: float) -> str:
    """Seconds with a unit that fits."""
    return f"{value:.2f}s" if value >= 1 else f"{1000 * value:.1f}ms"


def as_rate(value: float) -> str:
    """Operations per second, in thousand millions."""
    return f"{value / 1e9:.1f}GFLOP/s"
