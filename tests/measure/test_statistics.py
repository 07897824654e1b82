"""Averages over seeds, against values worked out by hand."""

import math
from pathlib import Path

import pytest

from neumeta.measure.results import read_results, results_csv
from neumeta.measure.statistics import (
    Spread,
    above_bound,
    measured,
    over_seeds,
    seen_by_width,
    sort_results,
    standard_error,
)
from tests.methods.metamorphosis.report.samples import result_row, small, table


def test_csv_is_sorted_and_spelled_as_promised() -> None:
    lines = results_csv(sort_results(small())).splitlines()
    assert lines[0] == "method,width,seen,seed,accuracy,loss,params,macs"
    assert lines[1] == "base,12,true,,0.985000,0.100000,36682,576000"
    assert [line.split(",")[:4] for line in lines[2:6]] == [
        ["individual", "6", "false", "0"],
        ["individual", "8", "true", "0"],
        ["individual", "8", "true", "1"],
        ["individual", "12", "true", "0"],
    ]


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(results_csv(sort_results(small())))
    assert list(read_results(path)["accuracy"]) == list(sort_results(small())["accuracy"])


def test_averages_by_hand() -> None:
    stats = over_seeds(small())
    ours = measured(stats, "neumeta")
    assert list(ours.index) == [6, 8, 12]
    point = ours.loc[8]
    assert point["mean"] == pytest.approx(0.92)
    assert point["std"] == pytest.approx(0.02 * math.sqrt(2))  # sample deviation of two values
    assert (point["low"], point["high"], point["n"], point["seen"]) == (0.90, 0.94, 2, True)
    assert math.isnan(measured(stats, "base")["std"].loc[12])
    assert not ours.loc[6, "seen"]
    assert measured(stats, "slimmable").empty
    assert seen_by_width(stats) == {6: False, 8: True, 12: True}


def test_a_missing_accuracy_is_not_counted() -> None:
    rows = [result_row("neumeta", 8, math.nan, 0), result_row("neumeta", 8, 0.9, 1)]
    stats = over_seeds(table([*rows, result_row("bypass", 8, math.nan)]))
    assert tuple(stats.loc[("neumeta", 8), ["n", "mean"]]) == (1, 0.9)
    assert measured(stats, "bypass").empty


def test_standard_error_of_540_examples() -> None:
    assert standard_error(0.98, 540) == pytest.approx(0.006025, abs=1e-6)


def test_spreads_of_equal_values_and_of_one() -> None:
    assert Spread.of([0.25] * 3) == Spread(0.25, 0.0, 3)
    assert math.isnan(Spread.of([0.1]).std)


def test_seeds_tell_apart_what_lies_outside_the_interval_of_student() -> None:
    # Student's t for two degrees of freedom is 4.303; times 0.002 / sqrt(3) it is 0.004968.
    assert not Spread(0.0049, 0.002, 3).told_apart and Spread(0.0051, 0.002, 3).told_apart
    assert not Spread(0.1, math.nan, 1).told_apart


def test_a_length_is_compared_with_its_bound() -> None:
    assert above_bound(11.0, 10.0) == pytest.approx(0.1)
    assert above_bound(10.0 - 1e-12, 10.0) == 0  # rounding alone
    assert above_bound(1.0, 0.0) is None
