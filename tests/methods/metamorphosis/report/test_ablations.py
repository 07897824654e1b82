"""The tables of the ablations, against values worked out by hand."""

from copy import deepcopy
from typing import Any

import pandas as pd

from neumeta.methods.metamorphosis.columns import ABLATION_COLUMNS
from neumeta.methods.metamorphosis.report.ablations import ablations, ablations_csv
from neumeta.report.blocks import Table
from tests.methods.metamorphosis.report.samples import (
    ABLATE,
    RESNET_PARAMS,
    ablated,
    ablation_row,
    plain_heads,
    plain_rows,
    resnet_inputs,
)
from tests.report.test_wording import plain

DEAD = (
    "without residual dead generator in 1 of 3 seeds; "
    "600 warm-start and 900 task steps of batch 128"
)


def both() -> tuple[Table, Table]:
    """The two tables of the example."""
    residual, noise = ablations(resnet_inputs())
    return residual, noise


def test_cells_hold_mean_spread_and_difference() -> None:
    residual, noise = both()
    assert plain_heads(residual) == [
        *("Row", "INR parameters", "h = 64", "h = 48", "h = 32"),
        *("h = 24 not trained", "h = 16 not trained", "Published, h = 64"),
    ]
    good, bad = plain_rows(residual).items()
    # Seeds 91.4, 91.5, 91.6 at width 64; the dead seed of the other row scores 75.88 everywhere.
    assert (good[0], good[1][0]) == ("with residual", "1 270 000")
    assert (good[1][1], good[1][-1]) == ("91.50 ±0.10", "91.87")
    # (90.4 + 90.6 + 75.88) / 3 = 85.63
    assert bad[0] == DEAD
    assert bad[1][1].split()[0] == "85.63" and bad[1][1].split()[-1] == "−5.87"
    assert bad[1][-1] == "90.18"
    assert [row.kind for row in residual.rows] == ["reference", ""]
    assert not any(head.startswith("Published") for head in plain_heads(noise))
    assert all(len(cell.split()) == 2 for row in plain_rows(noise).values() for cell in row[1:])


def test_a_validation_split_that_the_base_has_seen_is_told() -> None:
    inputs = resnet_inputs()
    text = "trained on these examples"
    assert not any(text in table.note for table in ablations(inputs))
    report = {**inputs.params["report"], "base_saw_validation": True}
    told = ablations(resnet_inputs(params={**inputs.params, "report": report}))
    assert [text in table.note for table in told] == [False, True]  # test, validation


def test_notes_state_budget_seeds_and_split() -> None:
    residual, noise = both()
    text = plain(residual.note)
    assert "10 000 test examples" in text and "n = 3 seeds a row" in text
    assert "600 warm-start and 600 task steps of batch 128" in text
    assert "difference from “with residual”" in text
    assert "16 draws of noise 0.25 unless" in text and "another budget" in text
    text = plain(noise.note)
    assert "5 000 validation examples" in text and "n = 2 seeds a row" in text
    assert "600 warm-start and 1 500 task steps" in text and "difference" not in text


def test_a_row_tells_of_dead_seeds_and_of_another_budget() -> None:
    assert list(plain_rows(both()[0])) == ["with residual", DEAD]


def test_a_row_that_was_measured_less_has_gaps_and_its_own_seeds() -> None:
    rows = pd.DataFrame(
        [
            ablation_row("residual", "with residual", 0, 64, 0.91),
            ablation_row("residual", "with residual", 1, 64, 0.91),
            ablation_row("residual", "without residual", 0, 32, 0.90),
        ]
    )
    (table,) = ablations(resnet_inputs(ablations=rows))
    cells = list(plain_rows(table).values())[1]
    assert cells[1:3] == ["–", "90.00"]  # neither spread nor difference
    assert "n = 1 to 2 seeds" in table.note


def test_equal_rows_differ_by_nothing() -> None:
    rows = [ablation_row("residual", name, 0, 64, 0.91) for name in ("with residual", "other")]
    (table,) = ablations(resnet_inputs(ablations=pd.DataFrame(rows)))
    assert plain_rows(table)["other"][1] == "91.00 ±0"


def test_a_width_that_one_row_alone_was_trained_at_says_so() -> None:
    rows = [ablation_row("residual", name, 0, 48, 0.91) for name in ("with residual", "coarse")]
    rows[1]["seen"] = False
    (table,) = ablations(resnet_inputs(ablations=pd.DataFrame(rows)))
    assert plain_rows(table)["coarse"][1] == "91.00 ±0 not trained"
    assert plain_rows(table)["with residual"][1] == "91.00"


def test_tables_of_another_time_are_shown_under_their_own_names() -> None:
    params: dict[str, Any] = {**RESNET_PARAMS, "ablate": None, "train": {}}
    first, _ = ablations(resnet_inputs(params=params))
    assert first.caption == "residual"
    assert "steps" not in first.note
    assert not any(head.startswith("Published") for head in plain_heads(first))


def test_a_whole_section_may_be_changed() -> None:
    changed = deepcopy(ABLATE)
    changed["tables"][0]["change_base"] = {"warm_start": {"steps": 0}}
    (table, _) = ablations(resnet_inputs(params={**RESNET_PARAMS, "ablate": changed}))
    assert "Every row has 1 500 task steps of batch 128" in plain(table.note)
    assert RESNET_PARAMS["train"]["warm_start"] == {"steps": 600}


def test_nothing_ablated_gives_no_table() -> None:
    header = ",".join(ABLATION_COLUMNS) + "\n"
    for nothing in (ablated().iloc[:0], pd.DataFrame()):
        assert ablations(resnet_inputs(ablations=nothing)) == []
        assert ablations_csv(nothing) == header
