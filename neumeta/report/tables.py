"""Statistics of the result table: one row per method and width, and the key numbers."""

import math
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from neumeta.measure.results import RESULT_COLUMNS
from neumeta.report.facts import Facts
from neumeta.report.methods import describe

DIGITS = 6  # of every float in metrics.json and the summary


class Point(NamedTuple):
    """One method at one width, over its seeds.

    Attributes:
        width: Base width h.
        seen: Whether the INR was trained at this width.
        n: Number of accuracies.
        mean: Mean accuracy, fraction; NaN where there is none.
        std: Sample standard deviation; NaN below two.
        low: The worst seed.
        high: The best seed.
        loss: Mean loss on the test set.
        params: Parameters of the whole network.
        macs: Multiply-accumulates of the whole network for one example.
    """

    width: int
    seen: bool
    n: int
    mean: float
    std: float
    low: float
    high: float
    loss: float
    params: float
    macs: float


Statistics = dict[str, dict[int, Point]]


class Gap(NamedTuple):
    """How far one method lies below another at one width.

    Attributes:
        value: Difference of mean accuracies, as a fraction; positive is below.
        width: Where.
        widths: Number of widths compared.
    """

    value: float
    width: int
    widths: int


def sort_results(results: pd.DataFrame) -> pd.DataFrame:
    """Order the result table for its CSV.

    Args:
        results: Rows in any order.

    Returns:
        The same rows by method, width and seed; rows without a seed first.
    """
    columns = ["method", "width", "seed"]
    ordered = results.sort_values(columns, kind="stable", na_position="first")
    return ordered.loc[:, list(RESULT_COLUMNS)].reset_index(drop=True)


def curve_csv(results: pd.DataFrame) -> str:
    """Write one column of mean accuracy per method: what `dvc plots diff` draws.

    Args:
        results: Rows in any order.

    Returns:
        CSV with a row per width; empty where a method has none.
    """
    means = results.pivot_table(index="width", columns="method", values="accuracy", aggfunc="mean")
    return means.round(DIGITS).to_csv(lineterminator="\n")


def statistics(results: pd.DataFrame) -> Statistics:
    """Average over seeds.

    Args:
        results: The result table.

    Returns:
        Per method, in the order of `describe`, and per width, in order, what was measured.
    """
    found: Statistics = {method.name: {} for method in describe(results["method"])}
    for _, rows in sort_results(results).groupby(["method", "width"], sort=True):
        accuracy = rows["accuracy"].dropna()
        width = int(rows["width"].iloc[0])
        found[str(rows["method"].iloc[0])][width] = Point(
            width=width,
            seen=bool(rows["seen"].any()),
            n=len(accuracy),
            mean=float(accuracy.mean()),
            std=float(accuracy.std(ddof=1)),
            low=float(accuracy.min()),
            high=float(accuracy.max()),
            loss=float(rows["loss"].mean()),
            params=float(rows["params"].mean()),
            macs=float(rows["macs"].mean()),
        )
    return found


def measured(stats: Statistics, name: str) -> list[Point]:
    """Pick one method's points that hold an accuracy.

    Args:
        stats: What `statistics` returns.
        name: The method.

    Returns:
        Its points by width; empty where the method is missing.
    """
    return [point for point in stats.get(name, {}).values() if math.isfinite(point.mean)]


def all_points(stats: Statistics) -> list[Point]:
    """Put the points of all methods in one list.

    Args:
        stats: What `statistics` returns.

    Returns:
        Every point, also those without an accuracy.
    """
    return [point for points in stats.values() for point in points.values()]


def all_widths(stats: Statistics, seen_only: bool = False) -> list[int]:
    """List the widths of the table.

    Args:
        stats: What `statistics` returns.
        seen_only: Leave out the widths the INR was not trained at.

    Returns:
        Distinct widths in order.
    """
    return sorted({point.width for point in all_points(stats) if point.seen or not seen_only})


def worst_gap(stats: Statistics, seen: bool = True) -> Gap | None:
    """Find the width where `neumeta` lies furthest below `individual`.

    Args:
        stats: What `statistics` returns.
        seen: Whether to look among the trained widths, or among those never built in training.

    Returns:
        The gap, negative where `neumeta` is better everywhere, or None if the two share no
        such width.
    """
    anchor = {point.width: point.mean for point in measured(stats, "individual")}
    gaps = [
        (anchor[point.width] - point.mean, point.width)
        for point in measured(stats, "neumeta")
        if point.seen == seen and point.width in anchor
    ]
    if not gaps:
        return None
    value, width = max(gaps, key=lambda gap: (gap[0], -gap[1]))
    return Gap(value, width, len(gaps))


def key_widths(stats: Statistics) -> list[int]:
    """Choose the widths worth a number of their own.

    Args:
        stats: What `statistics` returns.

    Returns:
        The smallest and largest width, that of the base network, and five spread over the seen
        ones (ends, middle and quarters), in order.
    """
    widths, seen = all_widths(stats), all_widths(stats, seen_only=True)
    chosen = {widths[0], widths[-1], *stats.get("base", {})}
    if seen:
        chosen |= {seen[quarter * (len(seen) - 1) // 4] for quarter in range(5)}
    return sorted(chosen)


def metrics(facts: Facts) -> dict[str, Any]:
    """Collect the numbers that `dvc metrics diff` compares; no times, so reruns agree.

    Args:
        facts: The inputs of the report.

    Returns:
        Nested dict of numbers; what was not measured is left out.
    """
    stats = statistics(facts.results)
    accuracy = {name: _accuracies(measured(stats, name), key_widths(stats)) for name in stats}
    found: dict[str, Any] = {"accuracy": {name: part for name, part in accuracy.items() if part}}
    if base := measured(stats, "base"):
        found["base_accuracy"] = _round(base[-1].mean)
        found["drop_from_base"] = {
            f"h{point.width}": _round(base[-1].mean - point.mean)
            for point in measured(stats, "neumeta")
            if point.width in key_widths(stats)
        }
    gap = worst_gap(stats)
    if gap is not None:
        found["worst_gap_to_individual"] = {"accuracy": _round(gap.value), "width": gap.width}
    if ours := measured(stats, "neumeta"):
        found["inr_seeds"] = max(point.n for point in ours)
    before, after = facts.variation.sum_before, facts.variation.sum_after
    found["total_variation"] = {"before": _round(before), "after": _round(after)}
    if before > 0:
        found["total_variation"]["ratio"] = _round(after / before)
    return found


def _accuracies(points: list[Point], keys: list[int]) -> dict[str, float]:
    entry = {f"h{point.width}": _round(point.mean) for point in points if point.width in keys}
    for name, seen in (("seen", True), ("unseen", False)):
        if means := [point.mean for point in points if point.seen is seen]:
            entry[f"mean_{name}"] = _round(fmean(means))
    return entry


def _round(value: float) -> float:
    return round(value, DIGITS)
