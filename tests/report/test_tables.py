"""The table, its statistics and the metrics, against values worked out by hand."""

import math
from pathlib import Path

import pandas as pd
import pytest

from neumeta.measure.results import read_results, results_csv
from neumeta.report.tables import (
    curve_csv,
    key_widths,
    metrics,
    sort_results,
    statistics,
    worst_gap,
)
from tests.report.samples import VARIATION, digits_like, facts_of, result_row, table


def small() -> pd.DataFrame:
    """Two seeds of neumeta and individual at widths 6 (unseen), 8 and 12."""
    return table(
        [
            result_row("neumeta", 12, 0.96, 1),
            result_row("neumeta", 12, 0.98, 0),
            result_row("neumeta", 8, 0.90, 0),
            result_row("neumeta", 8, 0.94, 1),
            result_row("neumeta", 6, 0.50, 0),
            result_row("individual", 8, 0.91, 0),
            result_row("individual", 8, 0.95, 1),
            result_row("individual", 12, 0.975, 0),
            result_row("individual", 6, 0.99, 0),
            result_row("base", 12, 0.985),
        ]
    )


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


def test_curve_holds_the_means_of_each_method() -> None:
    lines = curve_csv(small()).splitlines()
    assert lines[0] == "width,base,individual,neumeta"
    assert lines[1].startswith("6,,0.99,")
    assert lines[2] == "8,,0.93,0.92"
    assert lines[3] == "12,0.985,0.975,0.97"


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(results_csv(sort_results(small())))
    assert list(read_results(path)["accuracy"]) == list(sort_results(small())["accuracy"])


def test_statistics_by_hand() -> None:
    stats = statistics(small())
    assert list(stats) == ["neumeta", "individual", "base"]
    assert list(stats["neumeta"]) == [6, 8, 12]
    point = stats["neumeta"][8]
    assert point.mean == pytest.approx(0.92)
    assert point.std == pytest.approx(0.02 * math.sqrt(2))  # sample deviation of two values
    assert (point.low, point.high, point.n, point.seen) == (0.90, 0.94, 2, True)
    assert math.isnan(stats["base"][12].std)
    assert not stats["neumeta"][6].seen


def test_a_missing_accuracy_is_not_counted() -> None:
    stats = statistics(
        table([result_row("neumeta", 8, math.nan, 0), result_row("neumeta", 8, 0.9, 1)])
    )
    assert (stats["neumeta"][8].n, stats["neumeta"][8].mean) == (1, 0.9)


def test_worst_gap_looks_at_seen_widths_only() -> None:
    gap = worst_gap(statistics(small()))
    assert gap is not None
    # Width 8: 0.93 - 0.92 = 0.01; width 12: 0.975 - 0.97 = 0.005; width 6 is unseen.
    assert gap.value == pytest.approx(0.01)
    assert (gap.width, gap.widths) == (8, 2)


def test_worst_gap_of_widths_never_built_is_apart() -> None:
    rows = [result_row("neumeta", width, 0.9, 0) for width in (4, 6, 8)]
    rows += [result_row("individual", width, 0.91 + 0.01 * (width == 6), 0) for width in (4, 6, 8)]
    stats = statistics(table(rows))
    seen, unseen = worst_gap(stats), worst_gap(stats, seen=False)
    assert seen is not None and unseen is not None
    assert (seen.width, seen.widths) == (8, 1) and seen.value == pytest.approx(0.01)
    assert (unseen.width, unseen.widths) == (6, 2) and unseen.value == pytest.approx(0.02)


def test_worst_gap_is_negative_where_neumeta_wins_everywhere() -> None:
    gap = worst_gap(
        statistics(table([result_row("neumeta", 8, 0.9, 0), result_row("individual", 8, 0.8, 0)]))
    )
    assert gap is not None and gap.value == pytest.approx(-0.1)


def test_worst_gap_needs_a_shared_seen_width() -> None:
    rows = [result_row("neumeta", 8, 0.9, 0), result_row("individual", 9, 0.8, 0)]
    assert worst_gap(statistics(table(rows))) is None


def test_key_widths_are_the_ends_and_quarters() -> None:
    assert key_widths(statistics(digits_like())) == [4, 8, 12, 16, 20, 24]


def test_metrics_by_hand() -> None:
    found = metrics(facts_of(small()))
    assert found["accuracy"]["neumeta"] == {
        "h6": 0.5,
        "h8": 0.92,
        "h12": 0.97,
        "mean_seen": 0.945,
        "mean_unseen": 0.5,
    }
    assert found["accuracy"]["base"] == {"h12": 0.985, "mean_seen": 0.985}
    assert found["base_accuracy"] == 0.985
    assert found["drop_from_base"] == {"h6": 0.485, "h8": 0.065, "h12": 0.015}
    assert found["worst_gap_to_individual"] == {"accuracy": 0.01, "width": 8}
    assert found["inr_seeds"] == 2
    assert found["total_variation"] == {"before": 12000.0, "after": 9000.0, "ratio": 0.75}


def test_metrics_hold_no_time_and_no_nan() -> None:
    rows = [result_row("bypass", 8, math.nan), result_row("slimmable", 8, 0.7, 0)]
    facts = facts_of(table(rows))
    assert metrics(facts) == {
        "accuracy": {"slimmable": {"h8": 0.7, "mean_seen": 0.7}},
        "total_variation": {
            "before": VARIATION.sum_before,
            "after": VARIATION.sum_after,
            "ratio": 0.75,
        },
    }
