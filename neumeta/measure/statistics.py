"""Averages over seeds: of a few values, and of the result table."""

import math
import statistics
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
from scipy.stats import t as student_t

from neumeta.measure.results import RESULT_COLUMNS


class Spread(NamedTuple):
    """Mean and sample standard deviation; 0 for equal values, NaN for a single one."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Summarise one or more values."""
        numbers = list(values)
        std = statistics.stdev(numbers) if len(numbers) > 1 else math.nan
        return cls(statistics.fmean(numbers), std, len(numbers))

    @property
    def told_apart(self) -> bool:
        """Whether 0 lies outside the 95 % interval of the mean (Student's t)."""
        limit = float(student_t.ppf(0.975, self.n - 1)) if self.n > 1 else math.inf
        return abs(self.mean) > limit * self.std / math.sqrt(self.n)


def above_bound(length: float, bound: float) -> float | None:
    """Tell how far a length is above a proven lower bound.

    Args:
        length: Not below the bound, but for rounding.
        bound: The bound.

    Returns:
        A share of the bound, 0 or more; None where a bound of 0 says nothing.
    """
    return max(length / bound - 1, 0.0) if bound > 0 else None


def standard_error(accuracy: float, size: int) -> float:
    """Compute the binomial standard error of a measured accuracy.

    Args:
        accuracy: Fraction 0 to 1.
        size: Number of examples.

    Returns:
        A fraction.
    """
    return math.sqrt(max(accuracy * (1 - accuracy), 0.0) / size)


def sort_results(results: pd.DataFrame) -> pd.DataFrame:
    """Order the result table for its CSV.

    Args:
        results: Rows in any order.

    Returns:
        The same rows by method, width and seed; rows without a seed first.
    """
    keys = ["method", "width", "seed"]
    ordered = results.sort_values(keys, kind="stable", na_position="first")
    return ordered.loc[:, list(RESULT_COLUMNS)].reset_index(drop=True)


def over_seeds(results: pd.DataFrame) -> pd.DataFrame:
    """Average the result table over seeds.

    Args:
        results: Rows in any order.

    Returns:
        By method and width: the number `n` of accuracies, their `mean`, sample standard deviation
        `std` (NaN below two), `low` and `high`, all fractions; `seen`, `loss`, `params`, `macs`.
    """
    groups = sort_results(results).groupby(["method", "width"])
    stats = groups["accuracy"].agg(n="count", mean="mean", std="std", low="min", high="max")
    return stats.join([groups["seen"].any(), groups[["loss", "params", "macs"]].mean()])


def measured(stats: pd.DataFrame, method: str) -> pd.DataFrame:
    """Pick one method's rows that hold an accuracy.

    Args:
        stats: What `over_seeds` returns.
        method: Its name.

    Returns:
        Rows by width; none where the method is missing.
    """
    own = stats.index.get_level_values("method") == method
    return stats[own & (stats["n"] > 0)].droplevel("method")


def seen_by_width(stats: pd.DataFrame) -> dict[int, bool]:
    """Tell of every width whether networks of it were built in training.

    Args:
        stats: What `over_seeds` returns.

    Returns:
        By width, ascending.
    """
    return {int(str(w)): bool(seen) for w, seen in stats.groupby("width")["seen"].any().items()}
