"""Numbers as a reader sees them."""

import math

import pytest

from neumeta.report import wording


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
        (wording.points(0.01), "1.0 point"),
        (wording.hundredths(0.00304, 2), "0.30"),
        (wording.hundredths(-0.0012, 2), "-0.12"),
        (wording.hundredths(-0.00001, 2), "0.00"),
        (wording.hundredths(0.15, 2), "15.00"),
        (wording.hundredths(math.nan, 2), ""),
        (wording.hundredths(0.037, 1, plus=True), "+3.7"),
        (wording.hundredths(-0.0587, 2, plus=True), "-5.87"),
        (wording.hundredths(-0.00001, 2, plus=True), "±0"),
        (wording.count(64_906), "64.9k"),
        (wording.count(257_802), "258k"),
        (wording.count(999_700), "1M"),
        (wording.count(812), "812"),
        (wording.count(math.nan), "–"),
        (wording.whole(1_234_567), "1 234 567"),
        (wording.whole(58141.8, 2), "58 141.80"),
        (wording.whole(math.nan), "–"),
        (wording.change(1619.7, 1242.8), "-23.3 %"),
        (wording.change(1242.8, 1619.7), "+30.3 %"),
        (wording.change(100, 100), "0 %"),
        (wording.change(0, 5), "–"),
        (wording.duration(4.21), "4.2 s"),
        (wording.duration(59.97), "1 min 0 s"),
        (wording.duration(187.4), "3 min 7 s"),
        (wording.duration(7500), "2 h 05 min"),
        (wording.duration(math.nan), "–"),
        (wording.several(1, "seed"), "1 seed"),
        (wording.several(3, "seed"), "3 seeds"),
        (wording.span([3, 3.0]), "3"),
        (wording.span([3, 1, 2]), "1 to 3"),
    ],
)
def test_numbers(text: str, wanted: str) -> None:
    assert plain(text) == wanted


def test_decimals_follow_the_test_set() -> None:
    assert [wording.digits_for(size) for size in (None, 540, 10_000)] == [1, 1, 2]
