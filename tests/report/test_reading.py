"""Reading what other stages wrote: what is right arrives, what is wrong is one line."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neumeta.core.errors import UserError
from neumeta.report import reading
from neumeta.report.ablations import ablations_csv
from tests.report.samples import PARAMS, VARIATION, write_inputs, write_safetensors

HOME = Path("data/experiments/digits-lenet")


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_inputs(tmp_path, {"digits-lenet": PARAMS})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("inputs")
def test_right_files_arrive() -> None:
    assert reading.read_variation(HOME / "permute.json") == VARIATION
    run = reading.read_run(HOME / "train.run.json")
    assert (run.stage, run.seconds, run.threads, run.torch) == ("train", 61.2, 2, "2.13.0")
    dataset = reading.read_dataset_facts("data/datasets/digits.safetensors")
    assert (dataset.name, dataset.content_sha256, dataset.test_size) == ("digits", "cd" * 32, 540)
    inr = reading.read_inr(HOME / "inr")
    assert inr is not None
    assert (inr.path, inr.values) == ((HOME / "inr/seed-0.safetensors").as_posix(), 32)
    assert (inr.params, inr.frozen) == (17, 7)  # the output scales are neither
    assert inr.bytes == (HOME / "inr/seed-0.safetensors").stat().st_size
    history = reading.read_history(HOME / "train.csv", reading.TRAIN_COLUMNS)
    assert set(history["phase"]) == {"warm", "task"}
    tables = reading.read_tables([HOME / "sweep.csv", HOME / "baselines.csv"])
    assert {"neumeta", "bypass"} <= set(tables["method"])


def test_headers_agree_with_the_checkpoint_module(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from neumeta.core.checkpoint import write_checkpoint

    header: dict[str, Any] = {"kind": "dataset", "name": "toy", "content_sha256": "ee" * 32}
    header["sizes"] = {"train": 3, "val": 1, "test": 2}
    write_checkpoint(tmp_path / "toy.safetensors", {"x": torch.zeros(2, 3)}, header)
    dataset = reading.read_dataset_facts(tmp_path / "toy.safetensors")
    assert (dataset.name, dataset.test_size) == ("toy", 2)
    inr = reading.read_inr(tmp_path)
    assert inr is not None and inr.values == 6


def test_size_of_the_inr_is_what_is_trained_of_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
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
    found = reading.read_inr(tmp_path)
    assert found is not None
    assert found.params == count_inr_params(inr)
    assert found.frozen == 0
    assert found.values > found.params


def test_ablations_arrive_whatever_their_rows_are_called(tmp_path: Path) -> None:
    path = tmp_path / "ablate.csv"
    header = ",".join(reading.ABLATION_COLUMNS)
    path.write_text(f'{header}\nnull,"None, nan",0,48,true,0.91,12,false\n')
    frame = reading.read_ablations(path)
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
    assert len(reading.read_ablations(path)) == 0


def test_ablations_are_written_as_they_came(tmp_path: Path) -> None:
    text = (
        ",".join(reading.ABLATION_COLUMNS)
        + "\na,5 / 96 / 7,0,16,false,0.775000,165940,false\na,x,1,64,true,0.900100,7,true\n"
    )
    path = tmp_path / "ablate.csv"
    path.write_text(text)
    assert ablations_csv(reading.read_ablations(path)) == text
    path.write_text(text.splitlines()[0] + "\n")
    assert ablations_csv(reading.read_ablations(path)) == path.read_text()


def test_no_inr_is_no_error(tmp_path: Path) -> None:
    assert reading.read_inr(tmp_path) is None


Break = Callable[[Path], object]


def rewrite(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def in_text(path: Path, old: str, new: str) -> None:
    """Replace a piece of a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def base_history(path: Path) -> object:
    return reading.read_history(path, reading.BASE_COLUMNS)


def one_table(path: Path) -> object:
    return reading.read_tables([path])


WRONG: list[tuple[str, Break, Callable[[Path], object], str]] = [
    ("permute.json", Path.unlink, reading.read_variation, "cannot read: No such file"),
    ("permute.json", lambda p: p.write_text("{"), reading.read_variation, "not valid JSON"),
    ("permute.json", lambda p: p.write_text("[]"), reading.read_variation, "JSON object"),
    ("permute.json", lambda p: rewrite(p, groups=3), reading.read_variation, "groups must be"),
    (
        "permute.json",
        lambda p: rewrite(p, groups=[{"name": "a"}]),
        reading.read_variation,
        "channels must be a number, not null",
    ),
    (
        "permute.json",
        lambda p: rewrite(p, total_variation={"before": 3}),
        reading.read_variation,
        "total_variation.before.sum must be a number",
    ),
    (
        "permute.json",
        lambda p: rewrite(p, inputs=True),
        reading.read_variation,
        "inputs must be a number, not true",
    ),
    ("train.run.json", lambda p: rewrite(p, stage=None), reading.read_run, "stage must be"),
    ("train.run.json", lambda p: rewrite(p, seconds="1"), reading.read_run, "seconds must be"),
    ("base.csv", Path.unlink, base_history, "cannot read"),
    ("base.csv", lambda p: p.write_text(""), base_history, "not a CSV table"),
    ("base.csv", lambda p: in_text(p, "loss", "los"), base_history, "no column 'loss'"),
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
    ("ablate.csv", Path.unlink, reading.read_ablations, "cannot read"),
    ("ablate.csv", lambda p: p.write_text(""), reading.read_ablations, "not a CSV table"),
    ("ablate.csv", lambda p: in_text(p, "seed", "sed"), reading.read_ablations, "columns are"),
    (
        "ablate.csv",
        lambda p: in_text(p, "noise,none,0,64,true", "noise,none,0,wide,true"),
        reading.read_ablations,
        "column width",
    ),
    (
        "ablate.csv",
        lambda p: in_text(p, "noise,none,0,64,true", "noise,none,0,64,yes"),
        reading.read_ablations,
        "column seen must hold true or false",
    ),
    (
        "inr/seed-0.safetensors",
        lambda p: p.write_bytes(b"123"),
        reading.read_dataset_facts,
        "damaged",
    ),
    (
        "inr/seed-0.safetensors",
        lambda p: p.write_bytes(struct.pack("<Q", 2) + b"[]"),
        reading.read_dataset_facts,
        "damaged",
    ),
    (
        "inr/seed-0.safetensors",
        lambda p: p.write_bytes(struct.pack("<Q", 1 << 60) + b"{}"),
        reading.read_dataset_facts,
        "damaged",
    ),
    ("inr/seed-0.safetensors", lambda p: None, reading.read_dataset_facts, "header has no name"),
    (
        "inr/seed-0.safetensors",
        lambda p: write_safetensors(p, {"name": "x", "content_sha256": "y", "sizes": 3}, {}),
        reading.read_dataset_facts,
        "header has no name",
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
