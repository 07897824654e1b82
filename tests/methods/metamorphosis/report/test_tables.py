"""The tables of the page, against values worked out by hand."""

import math

import pandas as pd
import pytest

from neumeta.methods.metamorphosis.report.inputs import ReportInputs
from neumeta.methods.metamorphosis.report.page import build_report
from neumeta.methods.metamorphosis.report.tables import (
    all_widths,
    key_table,
    key_widths,
    sizes_table,
    variation_table,
    width_picker,
)
from neumeta.report.blocks import Table
from tests.methods.metamorphosis.report.samples import (
    PARAMS,
    digits_like,
    inputs_of,
    plain_heads,
    plain_rows,
    resnet_inputs,
    resnet_row,
    result_row,
    table,
)


def few(**report: object) -> ReportInputs:
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
    return inputs_of(table(rows), params={**PARAMS, "report": report})


def drops(inputs: ReportInputs) -> Table:
    """The table of drops of all methods."""
    return key_table(inputs, inputs.methods, drops=True)


def test_drops_by_hand() -> None:
    found = drops(few(published={"64": 91.76, "48": 91.32}, published_base=92.6))
    assert plain_heads(found) == ["Method", "h = 64 100 % kept", "h = 48 75 % kept"]
    assert plain_rows(found) == {
        # 0.5 x sqrt(2) is the deviation of 1 and 2 points, 0.2 x sqrt(2) that of -0.2 and 0.2.
        "NeuMeta n = 2": ["0.0 ±0.3", "1.5 ±0.7"],
        "Individual n = 1": ["–", "−0.5"],
        "NeuMeta, published base 92.60 %": ["0.84 91.76 %", "1.28 91.32 %"],
    }
    assert [row.kind for row in found.rows] == ["ours", "", "published"]
    assert "a minus is above the base" in found.note


def test_accuracies_by_hand() -> None:
    inputs = few(published={"64": 91.76, "48": 91.32}, published_base=92.6)
    assert plain_rows(key_table(inputs, inputs.methods)) == {
        "NeuMeta n = 2": ["92.0 ±0.3", "90.5 ±0.7"],
        "Individual n = 1": ["–", "92.5"],
        "Base network n = 1": ["92.0", "–"],
        "NeuMeta, published base 92.60 %": ["91.76", "91.32"],
    }


def test_the_paper_of_the_example_lost_what_it_says() -> None:
    found = drops(resnet_inputs())
    lost = plain_rows(found)["NeuMeta, published base 92.60 %"]
    assert [cell.split()[0] for cell in lost] == ["0.84", "1.28", "2.04", "3.04"]
    assert [head.endswith("not trained") for head in plain_heads(found)[1:]] == [False] * 3 + [True]


def test_without_published_numbers_key_widths_are_chosen() -> None:
    # 20 was measured by another method only.
    assert [head[:6] for head in plain_heads(drops(few()))[1:]] == ["h = 64", "h = 48", "h = 16"]
    assert "published" not in str(drops(few()))
    without_base = plain_rows(drops(few(published={"48": 91.32})))
    assert without_base["NeuMeta, published"] == ["– 91.32 %"]


def test_published_widths_that_were_not_measured_are_left_out() -> None:
    found = drops(few(published={"48": 91.32, "40": 91.0}, published_base=92.6))
    assert [head[:6] for head in plain_heads(found)[1:]] == ["h = 48"]
    other = drops(few(published={"40": 91.0}))
    assert [head[:6] for head in plain_heads(other)[1:]] == ["h = 64", "h = 48", "h = 16"]


@pytest.mark.parametrize("missing", ["base", "neumeta"])
def test_there_are_no_drops_without_base_or_neumeta(missing: str) -> None:
    rows = few().results
    page = build_report(inputs_of(rows[rows["method"] != missing])).files["index.html"]
    assert 'id="drop"' not in page and "Points below the base" not in page


def test_key_widths_are_the_ends_and_quarters() -> None:
    assert key_widths(inputs_of(digits_like()).stats) == [4, 8, 12, 16, 20, 24]


def test_every_width_has_a_row_with_its_size() -> None:
    inputs = few()
    found = all_widths(inputs, inputs.methods, "the,table")
    assert plain_heads(found) == [
        *("Width", "Trained", "NeuMeta n = 1 to 2", "Individual n = 1"),
        *("Channels kept", "Parameters of the base", "MACs"),
    ]
    assert list(plain_rows(found)) == ["16", "20", "48", "64"]
    size = resnet_row("neumeta", 48, 0.9)
    share = f"{100 * size['params'] / resnet_row('base', 64, 0.9)['params']:.1f} %"
    assert plain_rows(found)["48"] == [
        *("yes", "90.5 ±0.7", "92.5", "75.0 %"),
        f"{size['params']:,} {share}".replace(",", " "),
        f"{size['macs']:,}".replace(",", " "),
    ]
    assert [row.kind for row in found.rows] == ["unseen", "unseen", "", ""]
    assert found.sortable and "The base network scores 92.0" in found.note
    assert "dGhlLHRhYmxl" in found.note  # the table itself, base64


def test_methods_of_another_size_show_it() -> None:
    rows = [result_row("neumeta", 8, 0.9, 0), result_row("individual", 8, 0.8, 0)]
    rows[1]["params"] = 99_999
    inputs = inputs_of(table(rows))
    assert "80.0 99 999 params" in plain_rows(all_widths(inputs, inputs.methods, ""))["8"]


def test_the_picker_shows_every_method_at_every_width() -> None:
    picker = width_picker(few())
    assert [choice["at"] for choice in picker.choices] == [16, 20, 48, 64]
    assert picker.choices[picker.chosen]["at"] == 64  # of 48 and 64, which were trained
    here = picker.choices[2]
    assert (here["badge"], here["strong"]) == ("trained width", True)
    rows = [[cell.replace("\u202f", " ") for cell in row] for row in here["rows"]]
    assert [row[:5] for row in rows] == [
        ["90.5 %", "± 0.7", "90.0 to 91.0", "2", "0.400"],
        ["92.5 %", "", "", "1", "0.400"],
        ["–", "", "only at width 64", "", "–"],
    ]
    assert "75.0 % of the morphing channels kept" in here["text"].replace("\u202f", " ")


def test_a_method_without_a_finite_accuracy_says_so() -> None:
    rows = [result_row("inn", 8, math.nan, 0), result_row("inn", 9, 0.5, 0)]
    (cells,) = width_picker(inputs_of(table(rows))).choices[0]["rows"]
    assert cells[:4] == ["–", "", "no finite accuracy", ""]


def test_sums_of_the_variation_stand_below_its_groups() -> None:
    rows = plain_rows(variation_table(inputs_of(digits_like())))
    assert rows["conv1"] == ["24", "1619.7", "1242.8", "−23.3 %", "0.22 %"]
    assert rows["All tensors, all axes: sum"] == ["", "12000.0", "9000.0", "−25.0 %", ""]
    assert rows["The same, per tensor"] == ["", "1500.0", "1125.0", "−25.0 %", ""]


def test_the_inr_is_compared_with_what_it_makes() -> None:
    (found,) = sizes_table(resnet_inputs())
    assert plain_rows(found)["of it made by the INR"] == ["73 856", "27.2 %"]
    assert sizes_table(resnet_inputs(inr=None)) == []


def test_drops_of_an_empty_table_are_not_made_up() -> None:
    frame = pd.concat([few().results, table([resnet_row("slimmable", 48, math.nan, 0)])])
    inputs = inputs_of(frame, params={**PARAMS, "report": {}})
    assert "Slimmable n = 1" not in plain_rows(drops(inputs))
