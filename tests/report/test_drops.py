"""The drop from the base network, against values worked out by hand."""

import math

import pytest

from neumeta.report.drops import DropTable, drop_table, signed
from neumeta.report.facts import Facts
from tests.report.samples import PARAMS, facts_of, resnet_facts, resnet_row, table


def small(**report: object) -> Facts:
    """Two seeds at three widths below a base of 92 %."""
    rows = [
        resnet_row("base", 64, 0.92),
        resnet_row("neumeta", 64, 0.918, 0),
        resnet_row("neumeta", 64, 0.922, 1),
        resnet_row("neumeta", 48, 0.90, 0),
        resnet_row("neumeta", 48, 0.91, 1),
        resnet_row("neumeta", 16, 0.87, 0),
        resnet_row("individual", 48, 0.925, 0),
        resnet_row("individual", 20, 0.91, 0),
    ]
    return facts_of(table(rows), params={**PARAMS, "report": report})


def made(facts: Facts) -> DropTable:
    """The table, which must be there."""
    found = drop_table(facts)
    assert found is not None
    return found


def test_drops_by_hand() -> None:
    found = made(small(published={"64": 91.76, "48": 91.32}, published_base=92.6))
    assert found.widths == [64, 48]
    rows = {method.name: drops for method, drops in found.rows}
    assert list(rows) == ["neumeta", "individual"]
    ours = rows["neumeta"][48]
    assert ours.mean == pytest.approx(1.5)
    assert ours.std == pytest.approx(0.5 * math.sqrt(2))  # of 1 and 2 points
    assert ours.n == 2
    assert rows["neumeta"][64].mean == pytest.approx(0.0, abs=1e-9)
    assert rows["individual"][48].mean == pytest.approx(-0.5)
    assert set(rows["individual"]) == {48}
    assert found.published_drop(64) == pytest.approx(0.84)
    assert found.published_drop(48) == pytest.approx(1.28)


def test_the_paper_of_the_example_lost_what_it_says() -> None:
    found = made(resnet_facts())
    drops = [found.published_drop(width) for width in (64, 48, 32, 16)]
    assert drops == pytest.approx([0.84, 1.28, 2.04, 3.04])
    assert found.seen == frozenset(range(32, 65))


def test_without_published_numbers_key_widths_are_chosen() -> None:
    found = made(small())
    assert found.widths == [64, 48, 16]  # 20 was measured by another method only
    assert found.published == {} and found.published_drop(64) is None
    assert made(small(published={"48": 91.32})).published_drop(48) is None


def test_published_widths_that_were_not_measured_are_left_out() -> None:
    found = made(small(published={"48": 91.32, "40": 91.0}, published_base=92.6))
    assert found.widths == [48]
    assert list(found.published) == [48]
    assert made(small(published={"40": 91.0})).widths == [64, 48, 16]


@pytest.mark.parametrize("missing", ["base", "neumeta"])
def test_there_is_no_table_without_base_or_neumeta(missing: str) -> None:
    rows = small().results
    assert drop_table(facts_of(rows[rows["method"] != missing])) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.304, "0.30"), (-0.12, "−0.12"), (-0.001, "0.00"), (15.0, "15.00")],
)
def test_signs(value: float, text: str) -> None:
    assert signed(value, 2) == text
