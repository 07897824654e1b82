"""The list of all experiments."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from neumeta.core.errors import UserError
from neumeta.methods.metamorphosis.report.page import build_report
from neumeta.report.overview import Summary, curve, read_summaries, render_overview
from tests.methods.metamorphosis.report.samples import digits_like, inputs_of, result_row, table
from tests.report.reader import Reader


@pytest.fixture(scope="module")
def text() -> str:
    """The summary of a digits-like experiment."""
    return build_report(inputs_of(digits_like())).summary


@pytest.fixture
def entry(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def read(entry: dict[str, Any], folder: Path, name: str = "digits-lenet") -> Summary:
    """The summary as the stage reads it."""
    (folder / f"{name}.json").write_text(json.dumps(entry))
    (summary,) = read_summaries(folder)
    return summary


def page(*entries: dict[str, Any]) -> str:
    return render_overview([Summary.model_validate_json(json.dumps(entry)) for entry in entries])


def test_a_summary_can_be_read_back(entry: dict[str, Any], tmp_path: Path) -> None:
    summary = read(entry, tmp_path)
    assert (summary.experiment, summary.seeds, summary.test_size) == ("digits-lenet", 3, 540)
    assert len(summary.curves["neumeta"]) == 21
    assert "seconds" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": 1}, "format: Input should be 2; run the stage that writes it again"),
        ({"experiment": None}, "experiment: Input should be a valid string"),
        ({"headline": 3}, "headline: Input should be a valid string"),
        ({"base": {"width": 24}}, "base.accuracy: Field required"),
        ({"worst_gap": {"width": 1, "accuracy": "0.1"}}, "worst_gap.accuracy: Input should be"),
        ({"seeds": "three"}, "seeds: Input should be a valid integer"),
        ({"test_size": "all"}, "test_size: Input should be a valid integer"),
        ({"curves": [1]}, "curves: Input should be an object"),
        (
            {"curves": {"neumeta": [{"width": 4, "accuracy": float("nan"), "seen": True}]}},
            "curves.neumeta.0.accuracy: Input should be a finite number",
        ),
        ({"curves": {"neumeta": [{"width": 4, "accuracy": 0.5}]}}, "curves.neumeta.0.seen: Field"),
        ({"ours": [None]}, "ours.1: Field required"),
        *(({key: ...}, f"{key}: Field required") for key in ("ours", "control", "looks", "base")),
    ],
)
def test_a_malformed_summary_is_one_clear_line(
    entry: dict[str, Any], change: dict[str, Any], word: str, tmp_path: Path
) -> None:
    wrong = {key: value for key, value in (entry | change).items() if value is not ...}
    with pytest.raises(UserError) as caught:
        read(wrong, tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/digits-lenet.json: ") and word in text
    assert "\n" not in text


def test_a_summary_lies_in_a_file_of_its_name(entry: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="experiment is 'digits-lenet'; must be 'other'"):
        read(entry, tmp_path, "other")


def test_experiments_are_listed_by_name_with_links(entry: dict[str, Any]) -> None:
    other = entry | {"experiment": "a b<c", "title": "<b>", "base": None, "worst_gap": None}
    reader = Reader(page(entry, other))
    links = [target for tag, target in reader.references if tag == "a"]
    own, others = "digits-lenet/index.html", "a%20b%3Cc/index.html"
    assert links == [others, own, others, own]  # in the table, and as cards
    assert "b" not in reader.tags


def test_one_table_holds_the_numbers_of_all_experiments(entry: dict[str, Any]) -> None:
    reader = Reader(page(entry))
    assert reader.tags.count("table") == reader.tags.count("caption") == 1
    assert reader.tags.index("table") < reader.tags.index("li")
    row = reader.text[reader.text.index("digits-lenet digits, 540") :]
    for text in (
        "98.3 % h = 24",  # the base network
        "98.2 % h = 24",  # ours: the largest trained width, the smallest, the furthest never built
        "94.5 % h = 8",
        "91.2 % h = 4",
        "94.3 % h = 8 Individual",
        "1.1 points below h = 18 Individual",
        "3 Accuracy on the test split",
    ):
        assert text in row, text
        row = row[row.index(text) :]


def test_small_figures_have_axes_with_numbers(entry: dict[str, Any]) -> None:
    reader = Reader(page(entry))
    assert reader.tags.count("polyline") == 0
    card = reader.text[reader.text.index("widths 4 to 7 are never trained") :]
    for text in ("8", "24", "base width h (channels)", "95 %", "test accuracy"):
        assert f" {text} " in card, text
    for label in ("NeuMeta", "Individual"):
        assert label in card
    assert "Bypass floor" not in card  # far below all of these


def test_what_lies_within_the_picture_of_a_card_is_drawn(entry: dict[str, Any]) -> None:
    near = [spot | {"accuracy": 0.93} for spot in entry["curves"]["bypass"]]
    assert (
        "Bypass floor" in Reader(page(entry | {"curves": entry["curves"] | {"bypass": near}})).text
    )


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (0.0, "equal h = 8"),
        (0.0004, "equal h = 8"),
        (-0.0004, "equal h = 8"),
        (-0.012, "1.2 points above h = 8"),
        (0.012, "1.2 points below h = 8"),
    ],
)
def test_a_gap_is_told_with_its_side_and_equal_as_equal(
    entry: dict[str, Any], gap: float, words: str
) -> None:
    spot = {"width": 8, "accuracy": gap, "label": "Pruned"}
    assert f"{words} Pruned" in Reader(page(entry | {"worst_gap": spot})).text


def test_what_was_judged_on_validation_says_so(entry: dict[str, Any]) -> None:
    """A summary without the split is of the test split, as all were."""
    assert "split" not in entry and "validation" not in page(entry)
    judged = entry | {"test_size": None, "split": "validation", "examples": 5000}
    text = Reader(page(judged)).text
    assert "digits, 5 000 validation" in text and "98.22 %" in text
    assert " validation accuracy " in text and " test accuracy " not in text


def test_terms_are_explained_below_the_table(entry: dict[str, Any]) -> None:
    reader = Reader(page(entry))
    for term in ("Base width h", "Trained width", "Control", "Best control", "Log error scale"):
        assert f" {term} " in reader.text, term
    assert reader.ids.count("terms") == 1


def test_cells_carry_their_heads_for_narrow_screens(entry: dict[str, Any]) -> None:
    labels = re.findall(r'<td data-label="(.*?)">', page(entry))
    assert labels[:2] == ["Base network", "Ours, largest trained width"] and len(labels) == 7


def test_two_cards_share_no_id(entry: dict[str, Any]) -> None:
    ids = Reader(page(entry, entry | {"experiment": "other"})).ids
    assert ids and len(ids) == len(set(ids))


def test_nothing_is_loaded_from_outside(entry: dict[str, Any]) -> None:
    html = page(entry)
    loads = [target for tag, target in Reader(html).references if tag not in ("a", "use")]
    assert loads == ["data:,"] and "http" not in html.replace("http-equiv", "")
    assert all(target[0] == "#" for tag, target in Reader(html).references if tag == "use")


def test_an_experiment_without_neumeta_and_no_experiment_at_all() -> None:
    alone = json.loads(build_report(inputs_of(table([result_row("inn", 8, 0.5, 0)]))).summary)
    assert alone["ours"] == [None, None, None] and alone["base"] is None
    assert alone["control"] == {"accuracy": 0.5, "label": "inn", "width": 8}
    assert "digits-lenet" in page(alone)
    assert "No experiment has a report yet." in render_overview([])


def test_a_curve_of_one_width_is_a_dot(entry: dict[str, Any]) -> None:
    alone = entry["curves"] | {"individual": entry["curves"]["individual"][:1]}
    tags = [Reader(page(entry | {"curves": curves})).tags for curves in (alone, entry["curves"])]
    assert tags[0].count("use") == tags[1].count("use") + 1


def test_points_are_rounded_and_told_apart() -> None:
    (point,) = curve([(4, 0.12345678, False)])
    assert (point.width, point.accuracy, point.seen) == (4, 0.123457, False)
