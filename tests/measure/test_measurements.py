"""The long table: what is written arrives, what is wrong is one line."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from neumeta.errors import UserError
from neumeta.measure.measurements import (
    Measurement,
    measurements_csv,
    measurements_of,
    read_measurements,
    write_measurements,
)
from tests.methods.metamorphosis.report.samples import result_row, table

ROW = Measurement(
    method="neumeta",
    item="digits-lenet",
    at={"width": 16},
    seed=0,
    split="test",
    metric="accuracy",
    value=0.9833333333333333,
    n=540,
    params=64906,
    macs=1024000,
    stored_bytes=3249380,
)
ROWS = [
    ROW,
    replace(ROW, metric="loss", value=0.1),
    replace(ROW, method="a, b", at={"width": 4}, seed=None, stored_bytes=None),
]


def test_a_table_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "measurements.csv"
    write_measurements(path, ROWS)
    assert read_measurements(path) == ROWS
    lines = path.read_text().splitlines()
    assert lines[0] == "method,item,width,seed,split,metric,value,n,params,macs,stored_bytes"
    assert lines[1] == (
        "neumeta,digits-lenet,16,0,test,accuracy,0.9833333333333333,540,64906,1024000,3249380"
    )
    assert lines[3].startswith('"a, b",digits-lenet,4,,test,accuracy,') and lines[3].endswith(",")


def test_every_axis_has_a_column_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "measurements.csv"
    deep = [replace(ROW, at={"width": 16, "depth": 3}), replace(ROW, at={"width": 8, "depth": 2})]
    write_measurements(path, deep)
    assert path.read_text().startswith("method,item,width,depth,seed,")
    assert read_measurements(path) == deep
    with pytest.raises(ValueError, match="one table has one set of them"):
        measurements_csv([ROW, deep[0]])


def test_what_is_not_finite_is_an_empty_field(tmp_path: Path) -> None:
    path = tmp_path / "measurements.csv"
    write_measurements(path, [replace(ROW, value=math.nan)])
    assert ",accuracy,,540," in path.read_text()
    (row,) = read_measurements(path)
    assert math.isnan(row.value)


def test_no_row_is_a_head_alone(tmp_path: Path) -> None:
    path = tmp_path / "measurements.csv"
    write_measurements(path, [])
    assert read_measurements(path) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("macs", "flops"), "columns are method,item,width"),
        (lambda text: text.replace("item,width", "item,item"), "columns are method,item,item"),
        (lambda text: text.replace("seed,split", "split,seed"), "columns are"),
        (lambda text: "", "columns are ; must be method,item,AXIS..."),
        (lambda text: text.replace(",16,0", ",16,-1"), "line 2: seed is '-1'; must be a whole"),
        (lambda text: text.replace(",16,0", ",wide,0"), "line 2: width is 'wide'; must be a whole"),
        (lambda text: text.replace(",0.1,", ",low,"), "line 3: value is 'low'; must be a number"),
        (lambda text: text.replace(",0.1,", ",inf,"), "line 3: value is 'inf'; must be finite"),
        (lambda text: text.replace(",540,64906", ",,64906"), "line 2: n is ''; must be a whole"),
        (lambda text: text.replace(",loss,", ",,"), "line 3: metric is empty"),
        (lambda text: text.replace(",3249380", ""), "line 2: has 10 fields; must have 11"),
    ],
)
def test_a_wrong_table_is_one_line(
    change: Callable[[str], str], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "measurements.csv"
    path.write_text(change(measurements_csv(ROWS)))
    with pytest.raises(UserError) as caught:
        read_measurements(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and words in text and "\n" not in text


def test_a_missing_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv: cannot read: No such file"):
        read_measurements(tmp_path / "none.csv")


def test_a_result_table_gives_two_rows_a_network_with_the_bytes_to_keep() -> None:
    results = table(
        [
            result_row("neumeta", 4, 0.9, seed=1, loss=0.25),
            result_row("neumeta", 8, 0.95, seed=1),
            result_row("individual", 4, 0.8, seed=0),
            result_row("base", 4, 0.7),
        ]
    )
    found = measurements_of(results, "digits-lenet", 540, {"neumeta": {1: 999}})
    assert [(row.metric, row.value) for row in found[:2]] == [("accuracy", 0.9), ("loss", 0.25)]
    assert found[0].at == {"width": 4} and found[0].split == "test" and found[0].n == 540
    # One file makes all widths of a seed; any other network is its parameters, four bytes each.
    assert [row.stored_bytes for row in found[::2]] == [999, 999, 4 * 4234, 4 * 4234]
    assert [row.seed for row in found[::2]] == [1, 1, 0, None]
    unknown = measurements_of(results, "digits-lenet", 540, {"neumeta": None})
    assert unknown[0].stored_bytes is None and unknown[4].stored_bytes == 4 * 4234
    with pytest.raises(UserError, match="no stored file of seed 1, which neumeta measured"):
        measurements_of(results, "digits-lenet", 540, {"neumeta": {0: 999}})
