"""Reads what the stages `orders` and `study` wrote, strictly."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from neumeta.core.errors import UserError
from neumeta.report.budgets import inr_budget
from neumeta.report.reading import read_json
from neumeta.study_report.facts import GroupOrders, InrScore, NetworkOrders, StudyInrs
from neumeta.study_report.labels import LABELS

T = TypeVar("T")


def read_orders(path: str | Path) -> NetworkOrders:
    """Read the orders of one network.

    Args:
        path: What the stage `orders` wrote.

    Returns:
        The network in all orders.

    Raises:
        UserError: If the file is missing, lacks something or lacks a strategy.
    """
    return _checked(path, _orders)


def read_inrs(path: str | Path) -> StudyInrs:
    """Read the INRs of a study.

    Args:
        path: What the stage `study` wrote.

    Returns:
        The INRs.

    Raises:
        UserError: If the file is missing, lacks something or lacks a strategy.
    """
    return _checked(path, _inrs)


def _checked(path: str | Path, make: Callable[[dict[str, Any]], T]) -> T:
    value = read_json(path)
    try:
        return make(value)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not as its stage writes it ({error}); run that again") from error


def _orders(value: dict[str, Any]) -> NetworkOrders:
    variation: dict[str, list[float]] = {}
    for run in value["runs"]:
        variation.setdefault(run["strategy"], []).append(float(run["variation"]))
    _complete(variation)
    runs = {len(values) for values in variation.values()}
    lengths = {len(v) for g in value["groups"] for v in g["lengths"].values()}
    if len(runs | lengths) != 1:
        raise ValueError("every strategy must have as many runs")
    groups = [
        GroupOrders(g["name"], int(g["channels"]), float(g["lower_bound"]), _complete(g["lengths"]))
        for g in value["groups"]
    ]
    return NetworkOrders(
        name=value["network"],
        dataset=value["dataset"],
        origin=value["origin"],
        accuracy=float(value["accuracy"]),
        test_size=int(value["test_size"]),
        parameters=int(value["parameters"]),
        tensors=int(value["tensors"]),
        images=int(value["images"]),
        error=max(float(run["function_error"]) for run in value["runs"]),
        variation=variation,
        groups=groups,
        pinned=tuple(value["pinned"]),
    )


def _inrs(value: dict[str, Any]) -> StudyInrs:
    rows = [InrScore(**row) for row in value["rows"]]
    _complete({row.strategy: [] for row in rows})
    places = {(row.strategy, row.seed, row.width) for row in rows}
    axes = [{place[axis] for place in places} for axis in range(3)]
    if not len(rows) == len(places) == math.prod(map(len, axes)):
        raise ValueError("rows must hold every strategy, seed and width once")
    controls = value["controls"]
    return StudyInrs(
        experiment=value["experiment"],
        split=value["split"],
        examples=int(value["examples"]),
        base_width=int(value["base_width"]),
        base=float(controls["base"]),
        bypass=float(controls["bypass"]),
        rows=rows,
        budget=inr_budget(value["train"]),
    )


def _complete(by_strategy: dict[str, Any]) -> dict[str, Any]:
    if set(by_strategy) != set(LABELS):
        raise ValueError(f"strategies are {sorted(by_strategy)}, not {sorted(LABELS)}")
    return by_strategy
