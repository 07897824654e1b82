"""What the stages of a study refuse, in one line, and what they leave behind."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.stages.commands import run_stage
from tests.toy import toy_params, write_toy_params

STUDY = "permutation-study"


def change(folder: Path, **values: Any) -> None:
    """Change keys of the section `study` of the toy study."""
    params = toy_params()
    params[STUDY]["study"] |= values
    write_toy_params(folder, params)


def error_of(stage: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a stage that must fail, and give its only line."""
    capsys.readouterr()
    assert run_stage(stage) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return str(lines[0])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"change": {"task.step": 3}}, ["study: change: task.step", "unknown key 'step'"]),
        ({"widths": [2, 7]}, ["study: width 7", "use 2..6"]),
        ({"experiment": "other"}, ["study.experiment: is 'other'", "'digits-lenet'"]),
        ({"seed": [0]}, ["study.seed", "unknown key", "seeds"]),
    ],
)
def test_wrong_parameters_name_file_section_and_key(
    values: dict[str, Any], words: list[str], copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(f"data/studies/{STUDY}/study.json").read_bytes()
    change(copy, **values)
    line = error_of("study", capsys)
    for word in (f"study: error: params.yaml: {STUDY}.", *words):
        assert word in line
    assert Path(f"data/studies/{STUDY}/study.json").read_bytes() == before


def test_a_report_names_the_network_whose_orders_are_missing(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = toy_params()
    params[STUDY]["networks"] = ["digits-lenet", "mnist-lenet"]
    write_toy_params(copy, params)
    assert "lacks mnist-lenet.json; run `dvc repro orders@mnist-lenet`" in error_of(
        "study_report", capsys
    )
    shutil.copy("data/orders/digits-lenet.json", "data/orders/mnist-lenet.json")
    shutil.copy("data/runs/orders/digits-lenet.run.json", "data/runs/orders/mnist-lenet.run.json")
    params[STUDY]["networks"] = ["mnist-lenet"]
    write_toy_params(copy, params)
    line = error_of("study_report", capsys)
    assert "its experiment 'digits-lenet' is none of permutation-study.networks" in line


def test_a_finished_study_leaves_no_parts_and_says_what_it_trained(finished: Path) -> None:
    assert not (finished / "data/.resume" / STUDY).exists()
    study = json.loads((finished / f"data/studies/{STUDY}/study.json").read_text())
    assert study["train"]["task"]["steps"] == 20  # as changed by the study
    assert {row["seed"] for row in study["rows"]} == {0}
    record = json.loads((finished / f"data/runs/study/{STUDY}.run.json").read_text())
    assert record["seconds"] > 0.5  # the time of the trainings
