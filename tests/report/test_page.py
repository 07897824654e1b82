"""Pages as lists of blocks: every block is drawn, escaped, and folded away but for the first."""

import json
import re
from typing import Any

import pytest
from markupsafe import Markup

from neumeta.core.records import StageRun
from neumeta.report.blocks import (
    Block,
    Drawing,
    Figure,
    KeyFigure,
    Page,
    Picker,
    Record,
    Row,
    Section,
    Table,
    Text,
    folded,
    plus_minus,
    small,
    with_download,
    yaml_text,
)
from neumeta.report.page import render_page, stage_times
from neumeta.report.texts import Look, Texts, glossary
from tests.report.reader import Reader

EVIL = '"><script>alert(1)</script>'
SVG = '<?xml version="1.0"?>\n<svg width="9pt" height="9pt"><text id="a">{}</text></svg>\n'


def picture(name: str) -> Figure:
    return Figure(name, Drawing(SVG.format(name), {4: 1.0, 8: 2.0}, 1.0, 8.0), EVIL, EVIL)


def page(**changes: Any) -> Page:
    """A page with every kind of block, hostile wherever it can be."""
    table = Table(EVIL, [EVIL, "b"], [Row([EVIL, EVIL])], EVIL, foot=[Row(["sum", EVIL])])
    choice = {"at": 4, "badge": EVIL, "strong": True, "text": EVIL, "rows": [[EVIL]]}
    picker = Picker("Width", "main", ["a", "b"], [EVIL], [choice], 0)
    inner = Section("inner", EVIL, EVIL, [Text([EVIL])])
    blocks: list[Block] = [
        *(Text([EVIL, EVIL]), Text([EVIL], "bullets"), Text([EVIL], "code", EVIL)),
        *(Record([(EVIL, EVIL)]), table, picture("other"), picker, inner),
    ]
    fields: dict[str, Any] = {
        "name": EVIL,
        "text": {"title": EVIL, "summary": EVIL},
        "headline": EVIL,
        "figure": picture("main"),
        "table": table,
        "key_figures": [KeyFigure(EVIL, EVIL, EVIL)],
        "sections": [Section("all", EVIL, EVIL, blocks)],
        "footer": EVIL,
    }
    return Page(**(fields | changes))


def test_whatever_a_text_holds_stays_text() -> None:
    html = render_page(page())
    assert "<script>alert" not in html
    reader = Reader(html)
    assert reader.tags.count("script") == 2
    assert json.loads(reader.data)[0]["rows"] == [[EVIL]]
    assert reader.text.count("alert(1)") >= 30


def test_sections_are_folded_and_their_heads_form_an_outline() -> None:
    html = render_page(page())
    reader = Reader(html)
    assert [tag for tag in reader.tags if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h3"]
    assert reader.tags.count("details") == 2 and "<details open" not in html
    assert {"all", "inner", "figure-main", "figure-other"} <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))


def test_a_page_without_a_title_has_its_name() -> None:
    reader = Reader(render_page(page(text={}, name="plain")))
    assert "plain · neumeta report" in reader.text


def test_cells_have_notes_only_where_there_are_some() -> None:
    assert small("a<", "", "b") == "a&lt; <small>b</small>"
    assert small(Markup("<b>a</b>")) == "<b>a</b>"
    assert plus_minus(0.915, 0.001, 2, "+0.10") == "91.50 <small>±0.10</small> <small>+0.10</small>"
    assert plus_minus(0.915, float("nan"), 1) == "91.5"
    assert plus_minus(float("nan"), float("nan"), 1) == "–"


def test_a_download_is_part_of_the_page() -> None:
    link = with_download("text<", "a.csv", "x,y\n", "Download")
    assert link.startswith("text&lt; <a ") and 'download="a.csv"' in link
    assert "data:text/csv;base64,eCx5Cg==" in link


def test_parameters_are_written_as_in_their_file() -> None:
    value = {"b": {"widths": [1, 2], "none": None}, "a": True}
    assert yaml_text(value) == "b:\n  widths: [1, 2]\n  none: null\na: true"


def test_no_mapping_of_parameters_is_pressed_into_a_line() -> None:
    value = {"rows": [{"name": "x", "change": {"ema": 0.9}}], "seeds": [], "loss": {"task": 1.0}}
    text = "rows:\n- name: x\n  change:\n    ema: 0.9\nseeds: []\nloss:\n  task: 1.0"
    assert yaml_text(value) == text


def test_parameters_are_folded_one_section_each_with_its_keys_as_hint() -> None:
    many = {f"k{number}": number for number in range(9)}
    first, second = folded({"dataset": "digits", "train": many})
    assert (first.name, first.title, first.hint) == ("params-dataset", "dataset", "digits")
    assert second.hint == "k0, k1, k2, k3, k4, k5, k6, k7, …"
    assert second.blocks == [Text([yaml_text({"train": many})], "code", "Parameters: train")]


def run(**facts: Any) -> StageRun:
    found = {"stage": "train", "seconds": 61.0, "params": {}, "threads": 2, "cores": 4}
    return StageRun.model_validate(found | facts)


def test_every_stage_tells_its_code_or_why_it_does_not() -> None:
    table = stage_times([run(revision="1a2b3c4"), run(revision=None), run()])
    assert [row.cells[-1] for row in table.rows] == [
        "1a2b3c4",
        "made outside of a git repository",
        "made before revisions were recorded",
    ]
    assert [row.cells[2] for row in table.rows] == ["2 of 4"] * 3
    assert "dirty" not in table.note and table.foot[0].cells[1].startswith("3")
    changed = stage_times([run(revision="1a2b3c4-dirty", cores=None)])
    assert "differed from that revision" in changed.note and changed.rows[0].cells[2] == "2"


def test_looks_are_explained_behind_a_piece_of_their_curve() -> None:
    look = Look(name="x", label="<X>", colour="blue", dash=(2.0, 2.0), meaning="It is x.")
    (term, text), (_, bare) = glossary([look, look], lambda name: f"{name} took long.").entries[:2]
    assert "&lt;X&gt; <code>x</code>" in term and 'stroke-dasharray="3 3"' in term
    assert text == bare == "It is x. x took long."


@pytest.mark.parametrize("page_of", ["report", "orders_report"])
def test_every_figure_and_section_of_the_texts_has_all_its_words(page_of: str) -> None:
    words = Texts(f"neumeta.methods.metamorphosis.{page_of}").words
    assert all(set(texts) == {"alt", "caption"} for texts in words["figure"].values())
    assert all(set(texts) == {"title", "hint"} for texts in words["section"].values())
