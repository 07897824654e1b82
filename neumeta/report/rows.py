"""The rows of the page's tables, as text and as values that scripts can sort."""

import math
from collections.abc import Iterable
from typing import Any

from neumeta.report import wording
from neumeta.report.methods import Method
from neumeta.report.sizes import base_params, kept
from neumeta.report.tables import Point, Statistics


def width_entry(
    stats: Statistics, methods: list[Method], width: int, digits: int, full_width: int | None
) -> dict[str, Any]:
    """Describe all methods at one width: the page's table and its picker both show this.

    Args:
        stats: What `statistics` returns.
        methods: In the order of the page.
        width: Base width h.
        digits: Decimals of accuracies in per cent.
        full_width: The base width, or None where it is not known.

    Returns:
        JSON-ready.
    """
    here = {name: points[width] for name, points in stats.items() if width in points}
    first = next(iter(here.values()))
    full = base_params(stats)
    return {
        "width": width,
        "seen": any(point.seen for point in here.values()),
        "kept": kept(width, full_width),
        "params": wording.whole(first.params),
        "macs": wording.whole(first.macs),
        "macs_short": wording.count(first.macs),
        "params_value": _plain(first.params),
        "macs_value": _plain(first.macs),
        "share": wording.percent(first.params / full if full > 0 else None),
        "cells": [
            _cell(method, here[method.name], first, digits)
            if method.name in here
            else _missing(method, list(stats[method.name]))
            for method in methods
        ],
    }


def seeds(points: Iterable[Point]) -> str:
    """Say how many seeds a method has.

    Args:
        points: Its points, at least one.

    Returns:
        Such as `n = 3` or `n = 1 to 3`.
    """
    numbers = [point.n for point in points]
    low, high = min(numbers), max(numbers)
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def _cell(method: Method, point: Point, first: Point, digits: int) -> dict[str, Any]:
    spread = f"{100 * point.std:.{digits}f}" if math.isfinite(point.std) else ""
    low, high = f"{100 * point.low:.{digits}f}", f"{100 * point.high:.{digits}f}"
    return {
        "method": method.name,
        "label": method.label,
        "accuracy": wording.percent(point.mean, digits),
        "value": _plain(point.mean),
        "spread": spread,
        "range": f"{low} to {high}" if point.n > 1 else "",
        "n": point.n,
        "loss": f"{point.loss:.3f}" if math.isfinite(point.loss) else wording.DASH,
        "params": wording.whole(point.params),
        "macs": wording.whole(point.macs),
        "other_params": point.params != first.params,
        "note": "" if point.n else "no finite accuracy",
    }


def _missing(method: Method, widths: list[int]) -> dict[str, Any]:
    listed = ", ".join(map(str, widths[:8])) + (", …" if len(widths) > 8 else "")
    dashes = dict.fromkeys(("accuracy", "loss", "params", "macs"), wording.DASH)
    return {
        **dashes,
        "method": method.name,
        "label": method.label,
        "value": None,
        "spread": "",
        "range": "",
        "n": 0,
        "other_params": False,
        "note": f"only at {'width' if len(widths) == 1 else 'widths'} {listed}",
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
