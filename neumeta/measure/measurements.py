"""The long table of measurements: one metric a row, so that every table has one reader."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from neumeta.core.files import atomic_write_text
from neumeta.core.tables import Column, read_table

_BEFORE = {"method": Column("text"), "item": Column("text")}  # and then one column per axis
_AFTER = {
    "seed": Column("whole", empty=True),
    "split": Column("text"),
    "metric": Column("text"),
    "value": Column("finite", empty=True),
    "n": Column("whole"),
    "params": Column("whole"),
    "macs": Column("whole"),
    "stored_bytes": Column("whole", empty=True),
}


@dataclass(frozen=True)
class Measurement:
    """One metric of one network.

    Attributes:
        method: Name of the method, such as `neumeta`.
        item: Name of the experiment.
        at: Place of the network in its family, such as width 16: value by name of the axis.
        seed: Of the run, or None where the method has no randomness.
        split: Examples that it was measured on, such as `test`.
        metric: What was measured, such as `accuracy` or `loss`.
        value: The result, shares as fractions; NaN where it is not finite.
        n: Number of examples of the split; 0 where that is not known.
        params: Parameters of the whole network.
        macs: Multiply-accumulates of the whole network for one example.
        stored_bytes: Size of the file that must be kept to get this network, or four bytes a
            parameter where it has no file of its own; None where not known.
    """

    method: str
    item: str
    at: Mapping[str, int]
    seed: int | None
    split: str
    metric: str
    value: float
    n: int
    params: int
    macs: int
    stored_bytes: int | None


def measurements_of(
    results: pd.DataFrame, item: str, n: int, stored: Callable[[str, int | None, int], int | None]
) -> list[Measurement]:
    """Write a result table as a long one: accuracy and loss of every row, on the test split.

    Args:
        results: A table with `RESULT_COLUMNS`.
        item: Name of the experiment.
        n: Number of test examples.
        stored: From method, seed and parameters of a row to the bytes that must be kept.

    Returns:
        Two measurements a row, in its order.
    """
    found = []
    for row in results.to_dict("records"):
        seed = None if pd.isna(row["seed"]) else int(row["seed"])
        params, macs = int(row["params"]), int(row["macs"])
        size = stored(row["method"], seed, params)
        where = (row["method"], item, {"width": int(row["width"])}, seed, "test")
        found += [
            Measurement(*where, metric, float(row[metric]), n, params, macs, size)
            for metric in ("accuracy", "loss")
        ]
    return found


def measurements_csv(rows: Sequence[Measurement]) -> str:
    """Write measurements as CSV.

    Args:
        rows: All with the same axes.

    Returns:
        One line a row below the head; an empty field is None or NaN.

    Raises:
        ValueError: If rows have different axes.
    """
    axes = tuple(rows[0].at) if rows else ()
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*_BEFORE, *axes, *_AFTER))
    for row in rows:
        if tuple(row.at) != axes:
            raise ValueError(f"axes are {tuple(row.at)} and {axes}; one table has one set of them")
        value = repr(row.value) if math.isfinite(row.value) else ""
        where = (row.method, row.item, *row.at.values(), row.seed, row.split, row.metric)
        writer.writerow((*where, value, row.n, row.params, row.macs, row.stored_bytes))
    return buffer.getvalue()


def write_measurements(path: str | Path, rows: Sequence[Measurement]) -> None:
    """Write measurements as CSV, atomically.

    Args:
        path: Target file.
        rows: All with the same axes.

    Raises:
        ValueError: If rows have different axes.
    """
    atomic_write_text(path, measurements_csv(rows))


def read_measurements(path: str | Path) -> list[Measurement]:
    """Read a table strictly.

    Args:
        path: A CSV written by `write_measurements`.

    Returns:
        Its rows.

    Raises:
        UserError: If the file is missing, or a column or value is not that of such a table.
    """
    return [_measurement(row) for row in read_table(path, _columns, "table of measurements")]


def _columns(head: Sequence[str]) -> dict[str, Column]:
    """What the columns of such a table hold; one that no table has, where axes do not fit."""
    axes = head[len(_BEFORE) : -len(_AFTER)]
    fits = all(axes) and len({*axes, *_BEFORE, *_AFTER}) == len(axes) + len(_BEFORE) + len(_AFTER)
    return {**_BEFORE, **dict.fromkeys(axes if fits else ("AXIS...",), Column("whole")), **_AFTER}


def _measurement(row: dict[str, Any]) -> Measurement:
    at = {name: value for name, value in row.items() if name not in {*_BEFORE, *_AFTER}}
    return Measurement(at=at, **{name: value for name, value in row.items() if name not in at})
