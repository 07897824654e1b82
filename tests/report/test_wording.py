"""Numbers and sentences as a reader sees them."""

import math

import pytest

from neumeta.report import wording
from neumeta.report.summary import headline, key_figures
from tests.report.samples import digits_like, facts_of, result_row, table


def plain(text: str) -> str:
    """The text with ordinary spaces and minus signs."""
    return text.replace(wording.SPACE, " ").replace(wording.MINUS, "-")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (wording.percent(0.97849), "97.8 %"),
        (wording.percent(1.0), "100.0 %"),
        (wording.percent(math.nan), "–"),
        (wording.percent(None), "–"),
        (wording.percent(0.98526, 2), "98.53 %"),
        (wording.points(-0.0123), "1.2 points"),
        (wording.count(64_906), "64.9k"),
        (wording.count(257_802), "258k"),
        (wording.count(999_700), "1M"),
        (wording.count(812), "812"),
        (wording.count(math.nan), "–"),
        (wording.whole(1_234_567), "1 234 567"),
        (wording.change(1619.7, 1242.8), "-23.3 %"),
        (wording.change(100, 100), "0 %"),
        (wording.change(0, 5), "–"),
        (wording.duration(4.21), "4.2 s"),
        (wording.duration(59.97), "1 min 0 s"),
        (wording.duration(187.4), "3 min 7 s"),
        (wording.duration(7500), "2 h 05 min"),
    ],
)
def test_numbers(text: str, wanted: str) -> None:
    assert plain(text) == wanted


def test_standard_error_of_540_examples() -> None:
    assert wording.standard_error(0.98, 540) == pytest.approx(0.006025, abs=1e-6)


def test_decimals_follow_the_test_set() -> None:
    assert [wording.digits_for(size) for size in (None, 540, 10_000)] == [1, 1, 2]


def test_headline_states_the_measured_figures() -> None:
    rows = [
        result_row("neumeta", 4, 0.70, 0),
        result_row("neumeta", 5, 0.80, 0),
        result_row("neumeta", 8, 0.95, 0),
        result_row("neumeta", 9, 0.96, 0),
        result_row("individual", 9, 0.972, 0),
    ]
    assert plain(headline(facts_of(table(rows)))) == (
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
    text = plain(headline(facts_of(table(rows))))
    whom = "them" if both else "networks trained one by one"
    wanted = f"Where no network was built in training, it lies 20.0 points below {whom} at worst"
    assert f"{wanted} (width 4)." in text


def test_headline_with_neumeta_alone_and_ahead() -> None:
    rows = [result_row("neumeta", 8, 0.95, 0), result_row("individual", 8, 0.9, 0)]
    text = plain(headline(facts_of(table(rows))))
    assert "at width 8: 95.0 % at width 8." in text
    assert "nowhere below" in text


def test_headline_without_neumeta() -> None:
    text = headline(facts_of(table([result_row("slimmable", 8, 0.9, 0)])))
    assert text.startswith("This report holds no NeuMeta rows, only slimmable")


def test_key_figures_come_in_order() -> None:
    values = [plain(figure.value) for figure in key_figures(facts_of(digits_like()))]
    assert values == ["98.3 %", "98.2 %", "94.5 %", "1.1 points", "-25.0 %"]
