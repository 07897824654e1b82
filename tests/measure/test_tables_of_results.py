"""The two tables of results: written, read again to the last bit, and refused when wrong."""

import math
from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.measure.measurements import (
    Measurement,
    measurements_csv,
    measurements_of,
    read_measurements,
    write_measurements,
)
from neumeta.measure.results import (
    RESULT_COLUMNS,
    ResultRow,
    read_results,
    results_csv,
    to_frame,
    write_results,
)

ROWS = [
    ResultRow("base", 4, True, None, 0.75, 1.25, 100, 2000),
    ResultRow("neumeta", 3, False, 1, 0.5, math.inf, 80, 1500),
    ResultRow("bypass", 3, False, None, math.nan, math.nan, 80, 1500),
]
LONG = [
    Measurement("a", "toy", {"width": 3, "depth": 2}, None, "test", "miou", 1 / 3, 10, 5, 6, None),
    Measurement("b", "toy", {"width": 4, "depth": 2}, 0, "val", "loss", 2e-9, 0, 5, 6, 7),
]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_results(path, to_frame(ROWS))
    found = read_results(path)
    assert results_csv(found) == path.read_text()
    assert tuple(found.columns) == RESULT_COLUMNS
    assert found.dtypes.astype(str).to_dict() == to_frame(ROWS).dtypes.astype(str).to_dict()
    write_results(path, to_frame([]))
    assert read_results(path).dtypes.astype(str).to_dict() == found.dtypes.astype(str).to_dict()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("method,", "methods,", "columns are methods,width"),
        ("base,4", "base,wide", "column width is 'wide'; must be a whole number"),
        ("base,4", ",4", "column method is empty"),
        (",true,", ",yes,", "column seen is 'yes'; must be true or false"),
        (",1,0.5", ",-1,0.5", "column seed is '-1'"),
        ("0.750000", "high", "column accuracy is 'high'; must be a number"),
    ],
)
def test_a_wrong_result_table_is_one_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    text = results_csv(to_frame(ROWS))
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as raised:
        read_results(path)
    assert "\n" not in str(raised.value)


def test_measurements_are_read_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    write_measurements(path, LONG)
    head = "method,item,width,depth,seed,split,metric,value,n,params,macs,stored_bytes"
    assert path.read_text().splitlines()[0] == head
    assert read_measurements(path) == LONG
    write_measurements(path, [])
    assert read_measurements(path) == []


def test_one_table_has_one_set_of_axes() -> None:
    other = Measurement("a", "toy", {"width": 3}, None, "test", "miou", 0.1, 10, 5, 6, None)
    with pytest.raises(ValueError, match="one table has one set of them"):
        measurements_csv([*LONG, other])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",depth,", ",width,", "must be method,item,AXIS...,seed"),
        (",depth,", ",seed,", "must be method,item,AXIS...,seed"),
        (",depth,", ",,", "must be method,item,AXIS...,seed"),
        ("value", "values", "columns are"),
        ("2e-09", "inf", "line 3: column value is 'inf'; must be a finite number"),
        ("a,toy", "a,", "line 2: column item is empty"),
        (",3,2,", ",3,,", "line 2: column depth is empty"),
    ],
)
def test_a_wrong_table_of_measurements_is_one_line(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    text = measurements_csv(LONG)
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as raised:
        read_measurements(path)
    assert "\n" not in str(raised.value)


def test_a_result_table_becomes_a_long_one(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_results(path, to_frame(ROWS))
    found = measurements_of(
        read_results(path), "toy", 48, lambda method, seed, params: None if seed else 4 * params
    )
    assert [(row.method, row.metric) for row in found] == [
        (row.method, metric) for row in ROWS for metric in ("accuracy", "loss")
    ]
    assert found[0] == Measurement(
        "base", "toy", {"width": 4}, None, "test", "accuracy", 0.75, 48, 100, 2000, 400
    )
    assert (found[2].seed, found[2].value, found[2].stored_bytes) == (1, 0.5, None)
    assert math.isinf(found[3].value) and math.isnan(found[4].value)
    write_measurements(path, found)
    assert math.isnan(read_measurements(path)[3].value)
