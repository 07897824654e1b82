"""The tables of the ablations, against values worked out by hand."""

from copy import deepcopy
from typing import Any

import pandas as pd

from neumeta.report.ablations import Ablation, ablations
from neumeta.report.wording import SPACE
from tests.report.samples import (
    ABLATE,
    RESNET_PARAMS,
    ablated,
    ablation_row,
    resnet_facts,
)


def both() -> tuple[Ablation, Ablation]:
    """The two tables of the example."""
    residual, noise = ablations(resnet_facts())
    return residual, noise


def plain(text: str) -> str:
    """Text with ordinary spaces."""
    return text.replace(SPACE, " ")


def test_cells_hold_mean_spread_and_difference() -> None:
    residual, noise = both()
    assert residual.widths == [(64, True), (48, True), (32, True), (24, False), (16, False)]
    good, bad = residual.rows
    # Seeds 91.4, 91.5, 91.6 at width 64; the dead seed of the other row scores 75.88 everywhere.
    assert (good.name, good.published, good.reference) == ("with residual", "91.87", True)
    assert good.cells[0] is not None and bad.cells[0] is not None
    assert (good.cells[0].accuracy, good.cells[0].spread, good.cells[0].delta) == (
        "91.50",
        "0.10",
        "",
    )
    # (90.4 + 90.6 + 75.88) / 3 = 85.63
    assert (bad.cells[0].accuracy, bad.cells[0].delta) == ("85.63", "−5.87")
    assert not bad.reference
    assert [cell.seen for cell in good.cells if cell] == [True, True, True, False, False]
    assert residual.published and not noise.published
    assert all(cell is None or cell.delta == "" for row in noise.rows for cell in row.cells)


def test_a_validation_split_that_the_base_has_seen_is_told() -> None:
    facts = resnet_facts()
    text = "trained on these examples"
    assert not any(text in plain(table.caption) for table in ablations(facts))
    report = {**facts.params["report"], "base_saw_validation": True}
    told = ablations(resnet_facts(params={**facts.params, "report": report}))
    assert [text in plain(table.caption) for table in told] == [False, True]  # test, validation


def test_captions_state_budget_seeds_and_split() -> None:
    residual, noise = both()
    text = plain(residual.caption)
    assert "10 000 test examples" in text and "n = 3 seeds a row" in text
    assert "600 warm-start and 600 task steps of batch 128" in text
    assert "difference from “with residual”" in text
    assert "16 draws of noise 0.25 unless" in text and "another budget" in text
    assert (residual.published_width, noise.published_width) == (64, None)
    text = plain(noise.caption)
    assert "5 000 validation examples" in text and "n = 2 seeds a row" in text
    assert "600 warm-start and 1 500 task steps" in text and "difference" not in text


def test_a_row_tells_of_dead_seeds_and_of_another_budget() -> None:
    residual, _ = both()
    assert residual.rows[0].note == ""
    assert plain(residual.rows[1].note) == (
        "dead generator in 1 of 3 seeds; 600 warm-start and 900 task steps of batch 128"
    )


def test_a_row_that_was_measured_less_has_gaps_and_its_own_seeds() -> None:
    rows = pd.DataFrame(
        [
            ablation_row("residual", "with residual", 0, 64, 0.91),
            ablation_row("residual", "with residual", 1, 64, 0.91),
            ablation_row("residual", "without residual", 0, 32, 0.90),
        ]
    )
    (table,) = ablations(resnet_facts(ablations=rows))
    assert table.rows[1].cells[0] is None
    only = table.rows[1].cells[1]
    assert only is not None and (only.spread, only.delta) == ("", "")
    assert "n = 1 to 2 seeds" in table.caption


def test_equal_rows_differ_by_nothing() -> None:
    rows = [ablation_row("residual", name, 0, 64, 0.91) for name in ("with residual", "other")]
    (table,) = ablations(resnet_facts(ablations=pd.DataFrame(rows)))
    assert table.rows[1].cells[0] is not None
    assert table.rows[1].cells[0].delta == "±0"


def test_tables_of_another_time_are_shown_under_their_own_names() -> None:
    params: dict[str, Any] = {**RESNET_PARAMS, "ablate": None, "train": {}}
    first, _ = ablations(resnet_facts(params=params))
    assert (first.title, first.name) == ("residual", "residual")
    assert "steps" not in first.caption
    assert not first.published


def test_a_whole_section_may_be_changed() -> None:
    changed = deepcopy(ABLATE)
    changed["tables"][0]["change_base"] = {"warm_start": {"steps": 0}}
    (table, _) = ablations(resnet_facts(params={**RESNET_PARAMS, "ablate": changed}))
    assert "Every row has 1 500 task steps of batch 128" in plain(table.caption)
    assert RESNET_PARAMS["train"]["warm_start"] == {"steps": 600}


def test_nothing_ablated_gives_no_table() -> None:
    assert ablations(resnet_facts(ablations=ablated().iloc[:0])) == []
    assert ablations(resnet_facts(ablations=pd.DataFrame())) == []
