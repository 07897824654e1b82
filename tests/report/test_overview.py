"""The list of all experiments."""

import json
from typing import Any

import pytest

from neumeta.core.errors import UserError
from neumeta.report import Report, check_summary, render_overview
from neumeta.report.summary import summary
from tests.report.samples import facts_of, result_row, table
from tests.report.test_page import Reader


@pytest.fixture
def entry(digits_report: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(digits_report.summary)
    return found


def test_a_summary_passes_its_own_check(entry: dict[str, Any]) -> None:
    check_summary(entry, "here")
    assert "seconds" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": 7}, "format is 7; must be 1"),
        ({"experiment": None}, "experiment must be a text"),
        ({"headline": 3}, "headline must be a text"),
        ({"base": {"width": 24}}, "base must be null or hold a width and an accuracy"),
        ({"worst_gap": {"width": 1, "accuracy": "0.1"}}, "worst_gap must be null"),
        ({"seeds": "three"}, "seeds must be a whole number"),
        ({"test_size": "all"}, "test_size must be a whole number or null"),
        ({"curves": [1]}, "curves must hold lists of points"),
        ({"curves": {"neumeta": [{"width": 4, "accuracy": float("nan")}]}}, "curves must hold"),
    ],
)
def test_a_malformed_summary_is_one_clear_line(
    entry: dict[str, Any], change: dict[str, Any], word: str
) -> None:
    with pytest.raises(UserError) as caught:
        check_summary(entry | change, "summary/x.json")
    text = str(caught.value)
    assert text.startswith("summary/x.json: ") and word in text and "\n" not in text


def test_experiments_are_listed_by_name_with_links(entry: dict[str, Any]) -> None:
    other = entry | {"experiment": "a b<c", "title": "<b>", "base": None, "worst_gap": None}
    reader = Reader(render_overview([entry, other]))
    links = [target for tag, target in reader.references if tag == "a"]
    assert links == ["a%20b%3Cc/index.html", "digits-lenet/index.html"]
    assert "98.3 % at width 24" in reader.text
    assert "at worst 1.1 points below, at width 18" in reader.text
    assert "91.2 % at width 4 (not trained) to 98.2 % at width 24" in reader.text
    assert reader.tags.count("polyline") == 6
    assert "b" not in reader.tags


def test_nothing_is_loaded_from_outside(entry: dict[str, Any]) -> None:
    html = render_overview([entry])
    loads = [target for tag, target in Reader(html).references if tag != "a"]
    assert loads == ["data:,"] and "http" not in html.replace("http-equiv", "")


def test_an_experiment_without_neumeta_and_no_experiment_at_all() -> None:
    entry = summary(facts_of(table([result_row("inn", 8, 0.5, 0)])))
    check_summary(entry, "here")
    assert "digits-lenet" in render_overview([entry])
    assert "No experiment has a report yet." in render_overview([])


def test_a_curve_of_one_width_is_a_dot(entry: dict[str, Any]) -> None:
    alone = {"individual": entry["curves"]["individual"][:1], "neumeta": entry["curves"]["neumeta"]}
    tags = Reader(render_overview([entry | {"curves": alone}])).tags
    assert (tags.count("circle"), tags.count("polyline")) == (1, 1)
