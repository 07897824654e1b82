"""The sentences and numbers that stand for an experiment, against values worked out by hand."""

import math

import pandas as pd
import pytest

from neumeta.methods.metamorphosis.report.findings import (
    best_control,
    headline,
    key_figures,
    metrics,
    worst_gap,
)
from tests.methods.metamorphosis.report.samples import (
    VARIATION,
    digits_like,
    inputs_of,
    result_row,
    small,
    table,
)
from tests.report.test_wording import plain


def test_headline_states_the_measured_figures() -> None:
    rows = [
        result_row("neumeta", 4, 0.70, 0),
        result_row("neumeta", 5, 0.80, 0),
        result_row("neumeta", 8, 0.95, 0),
        result_row("neumeta", 9, 0.96, 0),
        result_row("individual", 9, 0.972, 0),
    ]
    assert plain(headline(inputs_of(table(rows)))) == (
        "One INR gives this network at 4 widths from 4 to 9: 96.0 % at width 9 and 95.0 % at "
        "width 8, the ends of the trained range, and 70.0 % at width 4, never built in training. "
        "At worst it lies 1.2 points below networks trained one by one (width 9, among the one "
        "trained "
        "width where both exist). Means over 1 INR seed, 540 test examples."
    )


@pytest.mark.parametrize("both", [True, False])
def test_headline_owns_up_to_widths_never_built(both: bool) -> None:
    rows = [
        result_row(name, 4, value, 0) for name, value in (("neumeta", 0.7), ("individual", 0.9))
    ]
    rows.append(result_row("neumeta", 8, 0.95, 0))
    rows += [result_row("individual", 8, 0.9, 0)] if both else []
    text = plain(headline(inputs_of(table(rows))))
    whom = "them" if both else "networks trained one by one"
    wanted = f"Where no network was built in training, it lies 20.0 points below {whom} at worst"
    assert f"{wanted} (width 4)." in text


def test_headline_with_neumeta_alone_and_ahead() -> None:
    rows = [result_row("neumeta", 8, 0.95, 0), result_row("individual", 8, 0.9, 0)]
    text = plain(headline(inputs_of(table(rows))))
    assert "at width 8: 95.0 % at width 8." in text
    assert "nowhere below" in text


def test_headline_without_neumeta() -> None:
    text = headline(inputs_of(table([result_row("slimmable", 8, 0.9, 0)])))
    assert text.startswith("This report holds no NeuMeta rows, only slimmable")


def test_key_figures_come_in_order() -> None:
    values = [plain(figure.value) for figure in key_figures(inputs_of(digits_like()))]
    assert values == ["98.3 %", "98.2 %", "94.5 %", "1.1 points", "-25.0 %"]


def test_worst_gap_looks_at_seen_widths_only() -> None:
    gap = worst_gap(inputs_of(small()))
    assert gap is not None
    # Width 8: 0.93 - 0.92 = 0.01; width 12: 0.975 - 0.97 = 0.005; width 6 is unseen.
    assert gap.value == pytest.approx(0.01)
    assert (gap.width, gap.widths) == (8, 2)


def test_worst_gap_of_widths_never_built_is_apart() -> None:
    rows = [result_row("neumeta", width, 0.9, 0) for width in (4, 6, 8)]
    rows += [result_row("individual", width, 0.91 + 0.01 * (width == 6), 0) for width in (4, 6, 8)]
    inputs = inputs_of(table(rows))
    seen, unseen = worst_gap(inputs), worst_gap(inputs, seen=False)
    assert seen is not None and unseen is not None
    assert (seen.width, seen.widths) == (8, 1) and seen.value == pytest.approx(0.01)
    assert (unseen.width, unseen.widths) == (6, 2) and unseen.value == pytest.approx(0.02)


def test_worst_gap_is_negative_where_neumeta_wins_everywhere() -> None:
    rows = [result_row("neumeta", 8, 0.9, 0), result_row("individual", 8, 0.8, 0)]
    gap = worst_gap(inputs_of(table(rows)))
    assert gap is not None and gap.value == pytest.approx(-0.1)


def test_worst_gap_needs_a_shared_seen_width() -> None:
    rows = [result_row("neumeta", 8, 0.9, 0), result_row("individual", 9, 0.8, 0)]
    assert worst_gap(inputs_of(table(rows))) is None


def test_metrics_by_hand() -> None:
    found = metrics(inputs_of(small()))
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
    total = VARIATION.total_variation
    assert metrics(inputs_of(table(rows))) == {
        "accuracy": {"slimmable": {"h8": 0.7, "mean_seen": 0.7}},
        "total_variation": {
            "before": total["before"].sum,
            "after": total["after"].sum,
            "ratio": 0.75,
        },
    }


def test_the_best_control_is_the_best_other_method_at_the_smallest_trained_width() -> None:
    control = best_control(inputs_of(small()))
    assert control is not None
    assert (control.width, control.label) == (8, "Individual")  # width 6 was never built
    assert control.accuracy == pytest.approx(0.93)
    pruned = pd.concat([small(), table([result_row("pruned-l1-finetuned", 8, 0.94, 0)])])
    control = best_control(inputs_of(pruned))
    assert control is not None and control.label == "Pruned (L1), fine-tuned"
    ours = small()[small()["method"].isin(["neumeta", "base"])]
    assert best_control(inputs_of(ours)) is None
