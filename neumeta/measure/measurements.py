"""The long table of measurements: one metric a row, so that every table has one reader."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from neumeta.errors import UserError
from neumeta.files import atomic_write_text

_BEFORE = ("method", "item")  # and then one column per axis
_AFTER = ("seed", "split", "metric", "value", "n", "params", "macs", "stored_bytes")


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
        stored_bytes: Size of the files that must be kept to get this network; None where not known.
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
    results: pd.DataFrame, item: str, n: int, files: Mapping[str, Mapping[int, int] | None]
) -> list[Measurement]:
    """Write a result table as a long one: accuracy and loss of every row, on the test split.

    Args:
        results: A table with `RESULT_COLUMNS`.
        item: Name of the experiment.
        n: Number of test examples.
        files: For methods of which one file holds the networks of all widths: the size of that
            file, bytes by seed, or None where it is not known. Networks of other methods are
            stored one by one, with four bytes per parameter.

    Returns:
        Two measurements a row, in its order.

    Raises:
        UserError: If a seed has no file.
    """
    found = []
    for row in results.to_dict("records"):
        method, seed = row["method"], None if pd.isna(row["seed"]) else int(row["seed"])
        params, macs = int(row["params"]), int(row["macs"])
        stored: int | None = 4 * params
        if method in files:
            sizes = files[method]
            if sizes is not None and seed not in sizes:
                raise UserError(f"{item}: no stored file of seed {seed}, which {method} measured")
            stored = None if sizes is None or seed is None else sizes[seed]
        where = (method, item, {"width": int(row["width"])}, seed, "test")
        found += [
            Measurement(*where, metric, float(row[metric]), n, params, macs, stored)
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
    try:
        lines = list(csv.reader(io.StringIO(Path(path).read_text(encoding="utf-8")), strict=True))
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV table: {' '.join(str(error).split())}") from error
    head = tuple(lines[0]) if lines else ()
    axes = head[len(_BEFORE) : -len(_AFTER)]
    if head != (*_BEFORE, *axes, *_AFTER) or len(set(head)) != len(head) or not all(head):
        allowed = ",".join((*_BEFORE, "AXIS...", *_AFTER))
        raise UserError(f"{path}: columns are {','.join(head)}; must be {allowed}")
    return [_row(f"{path}: line {n}", head, axes, cells) for n, cells in enumerate(lines[1:], 2)]


def _row(where: str, head: Sequence[str], axes: Sequence[str], cells: Sequence[str]) -> Measurement:
    if len(cells) != len(head):
        raise UserError(f"{where}: has {len(cells)} fields; must have {len(head)}")
    text = dict(zip(head, cells, strict=True))

    def whole(column: str) -> int:
        if not (text[column].isascii() and text[column].isdigit()):
            raise UserError(f"{where}: {column} is {text[column]!r}; must be a whole number")
        return int(text[column])

    if missing := [column for column in ("method", "item", "split", "metric") if not text[column]]:
        raise UserError(f"{where}: {missing[0]} is empty; every row needs one")
    try:
        value = float(text["value"] or "nan")
    except ValueError as error:
        raise UserError(f"{where}: value is {text['value']!r}; must be a number") from error
    if text["value"] and not math.isfinite(value):
        raise UserError(f"{where}: value is {text['value']!r}; must be finite")
    return Measurement(
        method=text["method"],
        item=text["item"],
        at={axis: whole(axis) for axis in axes},
        seed=whole("seed") if text["seed"] else None,
        split=text["split"],
        metric=text["metric"],
        value=value,
        n=whole("n"),
        params=whole("params"),
        macs=whole("macs"),
        stored_bytes=whole("stored_bytes") if text["stored_bytes"] else None,
    )
