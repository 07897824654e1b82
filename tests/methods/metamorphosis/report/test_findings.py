"""The sentences and numbers that stand for an experiment, against values worked out by hand."""

import math
from typing import Any

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
        "The best controls there: 97.2 % (Individual), none measured. At worst it is 1.2 points "
        "below the best control of a trained width (at 9; 1 compared). "
        "Means over 1 INR seed, 540 test examples."
    )


def rivals(**finetuned: float) -> list[dict[str, Any]]:
    """Ours, individual networks below it, and fine-tuned pruning at widths `h…` as given."""
    rows = [result_row("neumeta", width, 0.95, 0) for width in (4, 8, 12)]
    rows += [result_row("individual", width, 0.94, 0) for width in (4, 8, 12)]
    rows += [result_row("interpolated", width, 0.3) for width in (4, 6, 8, 12)]
    return rows + [
        result_row("pruned-l1-finetuned", int(width[1:]), value, 0)
        for width, value in finetuned.items()
    ]


def test_the_headline_names_the_best_control_whatever_it_is() -> None:
    """Ours lies above individual networks everywhere, and yet below another control."""
    text = plain(headline(inputs_of(table(rivals(h4=0.99, h12=0.97)))))
    told = "97.0 % (Pruned (L1), fine-tuned), 94.0 % (Individual), 99.0 % (Pruned (L1), fine-tuned)"
    assert f"The best controls there: {told}. At worst it is 2.0 points below the best" in text
    assert (
        "control of a trained width (at 12; 2 compared) and 4.0 points below that of a width "
        "never built (at 4; 1 compared)." in text
    )


def test_equal_is_called_equal_and_above_is_above() -> None:
    text = plain(headline(inputs_of(table(rivals(h8=0.9502, h4=0.9504)))))
    assert "At worst it is equal to the best control of a trained width (at 8;" in text
    assert "and equal to that of a width never built (at 4; 1 compared)" in text
    tiles = key_figures(inputs_of(table(rivals(h8=0.9502))))
    assert ("equal", "to the best control, at worst") in {tile[:2] for tile in tiles}
    ahead = plain(headline(inputs_of(table(rivals()))))
    assert "At worst it is 1.0 point above the best control of a trained width (at 8;" in ahead


def test_untrained_controls_alone_do_not_make_ours_look_good() -> None:
    """Width 6 was interpolated only: to be 65 points above that says nothing."""
    rows = [*rivals(h8=0.96), result_row("neumeta", 6, 0.95, 0)]
    far = worst_gap(inputs_of(table(rows)), seen=False)
    assert far is not None and (far.width, far.widths, far.label) == (4, 1, "Individual")
    bare = [row for row in rows if row["method"] in ("neumeta", "interpolated")]
    alone = worst_gap(inputs_of(table(bare)))
    assert alone is not None and (alone.label, alone.widths) == ("Interpolated", 2)


def test_the_base_network_is_named_where_others_are_the_same_network() -> None:
    rows = [result_row("base", 12, 0.98), result_row("interpolated", 12, 0.98)]
    inputs = inputs_of(table([*rows, result_row("neumeta", 12, 0.97, 0)]))
    assert "The best control there: 98.0 % (Base network)." in plain(headline(inputs))


def test_headline_without_neumeta() -> None:
    text = headline(inputs_of(table([result_row("slimmable", 8, 0.9, 0)])))
    assert text.startswith("This report holds no NeuMeta rows, only slimmable")


def test_key_figures_come_in_order() -> None:
    values = [plain(figure.value) for figure in key_figures(inputs_of(digits_like()))]
    assert values == ["98.3 %", "98.2 %", "94.5 %", "-88.7 %", "1.1 points", "-25.0 %"]


def test_a_tile_says_what_the_smallest_trained_network_saves() -> None:
    (tile,) = (t for t in key_figures(inputs_of(digits_like())) if "MACs" in t.label)
    # 250 x 8^2 + 56 x 8 + 10 of 145,354 parameters, and (8 / 24)^2 of the MACs.
    assert plain(tile.value) == f"-{100 * (1 - 16458 / 145354):.1f} %"
    assert plain(tile.label) == "parameters of the whole network, -88.9 % MACs"
    sizes = "16 458 of 145 354 parameters, 256 000 of 2 304 000 MACs"
    assert plain(tile.note) == f"at width 8: {sizes}"
    only = inputs_of(table([result_row("base", 8, 0.9), result_row("neumeta", 8, 0.9, 0)]))
    assert not any("MACs" in tile.label for tile in key_figures(only))


def test_a_tile_names_the_best_control() -> None:
    tiles = key_figures(inputs_of(table(rivals(h12=0.97))))
    (tile,) = (t for t in tiles if "best control" in t.label)
    assert (plain(tile.value), tile.label) == ("2.0 points", "below the best control, at worst")
    assert plain(tile.note) == (
        "at width 12: Pruned (L1), fine-tuned; of 2 trained widths. "
        "Beside individual networks: 1.0 point above (width 8)"
    )


def test_worst_gap_looks_at_seen_widths_only() -> None:
    gap = worst_gap(inputs_of(small()), method="individual")
    assert gap is not None
    # Width 8: 0.93 - 0.92 = 0.01; width 12: 0.975 - 0.97 = 0.005; width 6 is unseen.
    assert gap.value == pytest.approx(0.01)
    assert (gap.width, gap.widths) == (8, 2)
    best = worst_gap(inputs_of(small()))
    # At width 12 the base network has 0.985.
    assert best is not None and (best.width, best.label) == (12, "Base network")
    assert best.value == pytest.approx(0.015)


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
    assert found["worst_gap_to_best_control"] == {"accuracy": 0.015, "width": 12}
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
