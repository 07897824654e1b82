"""Reading what other stages wrote: what is right arrives, what is wrong is one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from neumeta.core.checkpoint import write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.records import StageRun, read_json
from neumeta.measure.frames import read_frame
from neumeta.methods.metamorphosis.columns import ABLATION_COLUMNS, HISTORY_COLUMNS
from neumeta.methods.metamorphosis.params.experiment import Experiment
from neumeta.methods.metamorphosis.report import inputs as reading
from neumeta.methods.metamorphosis.report.ablations import ablations_csv
from neumeta.training.curve import CURVE_COLUMNS
from tests.methods.metamorphosis.report.samples import (
    PARAMS,
    STAGES,
    VARIATION,
    asked_by_stage,
    inputs_of,
    result_row,
    table,
    write_inputs,
)

HOME = Path("data/experiments/digits-lenet")
RECORD = "../../runs/train/digits-lenet.run.json"


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_inputs(tmp_path, {"digits-lenet": PARAMS})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_variation(path: Path) -> reading.Variation:
    return read_json(path, reading.Variation)


def read_ablations(path: Path) -> pd.DataFrame:
    return read_frame(path, ABLATION_COLUMNS)


def read_card(path: Path) -> reading.Dataset:
    return read_json(path, reading.Dataset)


def read_run(path: Path) -> StageRun:
    return read_json(path, StageRun)


def base_history(path: Path) -> object:
    return read_frame(path, CURVE_COLUMNS)


@pytest.mark.usefixtures("inputs")
def test_right_files_arrive() -> None:
    assert read_variation(HOME / "permute.json") == VARIATION
    run = read_run(HOME / RECORD)
    assert (run.stage, run.seconds, run.threads, run.torch) == ("train", 61.2, 2, "2.13.0")
    dataset = read_card(Path("data/datasets/digits.card.json"))
    assert (dataset.name, dataset.content_sha256) == ("digits", "cd" * 32)
    assert dataset.sizes == {"train": 1069, "val": 188, "test": 540}
    inr = reading.read_inrs(HOME / "inr")
    assert inr is not None
    assert (inr.path, inr.values) == ((HOME / "inr/seed-0.safetensors").as_posix(), 32)
    assert (inr.params, inr.frozen) == (17, 7)  # the output scales are neither
    size = (HOME / "inr/seed-0.safetensors").stat().st_size
    assert inr.stored == {0: size, 1: size, 2: size}
    history = read_frame(HOME / "train.csv", HISTORY_COLUMNS)
    assert set(history["phase"]) == {"warm", "task"}
    tables = reading.read_tables([HOME / "sweep.csv", HOME / "baselines.csv"])
    assert {"neumeta", "bypass"} <= set(tables["method"])


def test_only_files_of_seeds_are_inrs(tmp_path: Path) -> None:
    path = tmp_path / "toy.safetensors"
    write_checkpoint(path, {"x": torch.zeros(2, 3)}, {"kind": "inr"})
    assert reading.read_inrs(tmp_path) is None
    path.rename(tmp_path / "seed-0.safetensors")
    inr = reading.read_inrs(tmp_path)
    assert inr is not None and inr.values == 6


def test_the_section_is_put_together_from_what_the_stages_were_asked_for() -> None:
    asked = {"digits-lenet": PARAMS | {"baselines": {"b": 1}, "ablate": {"a": 2}}}
    found = asked_by_stage(asked, "digits-lenet")
    runs = [StageRun(stage=stage, seconds=1.0, params=found[stage]) for stage in STAGES]
    section = reading.section_of(runs, {"title": "T"})
    assert section == asked["digits-lenet"] | {"report": {"title": "T"}}
    assert list(section) == list(Experiment.model_fields)
    with pytest.raises(UserError, match="no record tells the parameters 'train'"):
        reading.section_of([run for run in runs if run.stage != "train"], {})


def test_a_network_is_stored_with_its_file_or_its_parameters() -> None:
    rows = [result_row("base", 12, 0.98), result_row("neumeta", 8, 0.9, seed=1)]
    inr = reading.Inr("seed-1.safetensors", 5, 4, 0, {1: 999})
    inputs = inputs_of(table(rows), inr=inr)
    assert inputs.stored("neumeta", 1, 10) == inputs.stored("neumeta-noise-free", 1, 10) == 999
    assert inputs.stored("individual", 0, 10) == 40
    # One set of weights, of the size of the base network, gives all widths.
    assert inputs.stored("slimmable", 0, 10) == 4 * rows[0]["params"]
    assert inputs_of(table(rows), inr=None).stored("neumeta", 1, 10) is None
    with pytest.raises(UserError, match="no INR of seed 2, which neumeta measured"):
        inputs.stored("neumeta", 2, 10)


def test_size_of_the_inr_is_what_is_trained_of_it(tmp_path: Path) -> None:
    from neumeta.methods.metamorphosis.generator import WeightGenerator, count_inr_params
    from neumeta.methods.metamorphosis.inr_file import write_inr
    from neumeta.models.parameters import parameters_of
    from tests.toy import at, toy_family, toy_params

    family, train = toy_family(), toy_params()["digits-lenet"]["train"]
    settings = {key: train[key] for key in ("coordinates", "encoding", "network")}
    inr = WeightGenerator(family, settings, torch.Generator())
    base = parameters_of(family.initialised(at(4), seed=0))
    described = {"noise": 0.5, "seed": 0, "train_widths": [4], "data_sha256": "0"}
    write_inr(tmp_path / "seed-0.safetensors", inr, base, described)
    found = reading.read_inrs(tmp_path)
    assert found is not None
    assert found.params == count_inr_params(inr)
    assert found.frozen == 0
    assert found.values > found.params


def test_ablations_arrive_whatever_their_rows_are_called(tmp_path: Path) -> None:
    path = tmp_path / "ablate.csv"
    header = ",".join(ABLATION_COLUMNS)
    path.write_text(f'{header}\nnull,"None, nan",0,48,true,0.91,12,false\n')
    frame = read_ablations(path)
    assert frame.iloc[0].to_dict() == {
        "table": "null",
        "row": "None, nan",
        "seed": 0,
        "width": 48,
        "seen": True,
        "accuracy": 0.91,
        "inr_params": 12,
        "collapsed": False,
    }
    path.write_text(f"{header}\n")
    assert len(read_ablations(path)) == 0


def test_ablations_are_written_as_they_came(tmp_path: Path) -> None:
    text = (
        ",".join(ABLATION_COLUMNS)
        + "\na,5 / 96 / 7,0,16,false,0.775000,165940,false\na,x,1,64,true,0.900100,7,true\n"
    )
    path = tmp_path / "ablate.csv"
    path.write_text(text)
    assert ablations_csv(read_ablations(path)) == text
    path.write_text(text.splitlines()[0] + "\n")
    assert ablations_csv(read_ablations(path)) == path.read_text()


def test_no_inr_is_no_error(tmp_path: Path) -> None:
    assert reading.read_inrs(tmp_path) is None


NO_PARAMS = "params: Field required; run the stage that writes it again"
Break = Callable[[Path], object]


def rewrite(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without(path: Path, key: str) -> None:
    """Take a key out of a JSON file."""
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))


def in_text(path: Path, old: str, new: str) -> None:
    """Replace a piece of a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def one_table(path: Path) -> object:
    return reading.read_tables([path])


WRONG: list[tuple[str, Break, Callable[[Path], object], str]] = [
    ("permute.json", Path.unlink, read_variation, "cannot read: No such file"),
    ("permute.json", lambda p: p.write_text("{"), read_variation, "Invalid JSON"),
    ("permute.json", lambda p: p.write_text("[]"), read_variation, "Input should be an object"),
    (
        "permute.json",
        lambda p: rewrite(p, groups=3),
        read_variation,
        "groups: Input should be a valid array",
    ),
    (
        "permute.json",
        lambda p: rewrite(p, groups=[{"name": "a"}]),
        read_variation,
        "groups.0.channels: Field required",
    ),
    (
        "permute.json",
        lambda p: rewrite(p, total_variation={"before": 3}),
        read_variation,
        "total_variation.before: ",
    ),
    (
        "permute.json",
        lambda p: rewrite(p, inputs=True),
        read_variation,
        "inputs: Input should be a valid integer",
    ),
    (
        RECORD,
        lambda p: rewrite(p, stage=None),
        read_run,
        "stage: Input should be a valid string",
    ),
    (
        RECORD,
        lambda p: rewrite(p, seconds="1"),
        read_run,
        "seconds: Input should be a valid number",
    ),
    (
        RECORD,
        lambda p: without(p, "params"),
        read_run,
        NO_PARAMS,
    ),
    ("base.csv", Path.unlink, base_history, "no such table"),
    ("base.csv", lambda p: p.write_text(""), base_history, "columns are ; must be epoch,loss"),
    ("base.csv", lambda p: in_text(p, "loss", "los"), base_history, "must be epoch,loss"),
    ("base.csv", lambda p: in_text(p, "\n1,", "\none,"), base_history, "column epoch"),
    ("sweep.csv", Path.unlink, one_table, "no such result table"),
    ("sweep.csv", lambda p: in_text(p, "macs", "flops"), one_table, "columns are"),
    ("sweep.csv", lambda p: in_text(p, ",0.1,", ",low,"), one_table, "column loss"),
    ("sweep.csv", lambda p: in_text(p, "neumeta,4,", "neumeta,,"), one_table, "column width"),
    (
        "sweep.csv",
        lambda p: p.write_text(p.read_text().splitlines()[0] + "\n"),
        one_table,
        "no result rows",
    ),
    ("ablate.csv", Path.unlink, read_ablations, "no such table"),
    ("ablate.csv", lambda p: p.write_text(""), read_ablations, "columns are ; must be table,row"),
    ("ablate.csv", lambda p: in_text(p, "seed", "sed"), read_ablations, "columns are"),
    (
        "ablate.csv",
        lambda p: in_text(p, "noise,none,0,64,true", "noise,none,0,wide,true"),
        read_ablations,
        "column width",
    ),
    (
        "ablate.csv",
        lambda p: in_text(p, "noise,none,0,64,true", "noise,none,0,64,yes"),
        read_ablations,
        "column seen is 'yes'; must be true or false",
    ),
    ("../../datasets/digits.card.json", Path.unlink, read_card, "cannot read: No such file"),
    (
        "../../datasets/digits.card.json",
        lambda p: rewrite(p, sizes=3),
        read_card,
        "sizes: Input should be an object",
    ),
]


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(("name", "harm", "read", "word"), WRONG)
def test_wrong_files_are_one_clear_line(
    name: str, harm: Break, read: Callable[[Path], object], word: str
) -> None:
    harm(HOME / name)
    with pytest.raises(UserError) as caught:
        read(HOME / name)
    text = str(caught.value)
    assert word in text and name in text and "\n" not in text
