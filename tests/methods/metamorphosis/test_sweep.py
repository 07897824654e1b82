"""The sweep in parts: shards, interruptions and stale parts never change the table."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neumeta.core.errors import CollapseError, UserError
from neumeta.core.reading import parse
from neumeta.data.dataset import Dataset, SplitName, read_dataset
from neumeta.measure.controls import bypass_weights, check_alive
from neumeta.measure.results import ResultRow, results_csv, to_frame
from neumeta.measure.scorer import Scorer
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.methods.metamorphosis.morph import MorphableNetwork, load
from neumeta.methods.metamorphosis.params.train import SweepParams
from neumeta.methods.metamorphosis.sweep import inr_files, sweep, sweep_shard, units_of
from neumeta.methods.metamorphosis.sweep_parts import Part, Shard, SweepParts, Unit, parse_shard
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from tests.stages.commands import command_of, run_stage
from tests.toy import ROOT, at, toy_params, write_toy_params

EXPERIMENT = Path("data/experiments/digits-lenet")
PARTS = Path("data/.resume/digits-lenet/sweep")
ROW = ResultRow("neumeta", 3, True, 0, 1 / 3, math.pi, 100, 200)


@pytest.fixture
def copy(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(Scorer, "row", refuse)


def spoil_parts(folder: Path, accuracy: float) -> None:
    """Give all parts one accuracy, by which they are recognised."""
    files = list((folder / PARTS).glob("*/*.json"))
    assert len(files) == 8  # two seeds, three widths and the floor
    for file in files:
        content = json.loads(file.read_text())
        for row in content["rows"]:
            row["accuracy"] = accuracy
            if row["method"] == "bypass":
                row["accuracy"] = 0.0
        file.write_text(json.dumps(content))


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_shards_joined_give_the_bytes_of_one_run(
    count: int, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    morphs = [load(path) for path in inr_files(finished / EXPERIMENT / "inr")]
    dataset = read_dataset(finished / "data/datasets/digits.safetensors")
    params = parse(SweepParams, toy_params()["digits-lenet"]["sweep"], "toy", "sweep")
    parts = SweepParts(tmp_path, "key")
    for index in reversed(range(1, count + 1)):
        sweep_shard(morphs, dataset, params, "toy", parts, Shard(index, count))
    no_measuring(monkeypatch)
    rows = sweep(morphs, dataset, params, "toy", parts)
    whole = (finished / EXPERIMENT / "sweep.csv").read_text()
    assert results_csv(to_frame(rows)) == whole
    order = [(row.seed, row.width, row.method) for row in rows]
    methods = ("neumeta", "neumeta-noise-free")
    assert order == [(s, w, m) for s in (0, 1) for w in (2, 3, 4) for m in methods]


def test_low_precision_scores_nearly_the_same_networks(finished: Path) -> None:
    morphs = [load(inr_files(finished / EXPERIMENT / "inr")[0])]
    dataset = read_dataset(finished / "data/datasets/digits.safetensors")
    section = toy_params()["digits-lenet"]["sweep"]
    losses = []
    for precision in ("float32", "bfloat16"):
        params = parse(SweepParams, section | {"precision": precision}, "toy", "sweep")
        losses.append([row.loss for row in sweep(morphs, dataset, params, "toy")])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_the_stage_leaves_parts_for_the_run_that_joins(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, record = copy / EXPERIMENT / "sweep.csv", copy / EXPERIMENT / "sweep.run.json"
    whole = table.read_bytes()
    table.unlink()
    record.unlink()
    assert run_stage("sweep", ["--shard", "1/2"]) == 0
    assert run_stage("sweep", ["--shard", "2/2"]) == 0
    assert not table.exists() and not record.exists()
    slow = next((copy / PARTS).glob("*/seed-0-width-2.json"))
    slow.write_text(json.dumps(json.loads(slow.read_text()) | {"seconds": 1000.0}))
    no_measuring(monkeypatch)
    assert run_stage("sweep") == 0
    assert table.read_bytes() == whole
    assert 1000 < json.loads(record.read_text())["seconds"] < 1100
    assert not (copy / PARTS).exists()


def test_a_killed_sweep_goes_on_from_its_parts(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(finished, folder)
    code = (
        "import os, signal, sys\n"
        "from neumeta.measure.scorer import Scorer\n"
        "from neumeta.stages.metamorphosis.sweep import main\n"
        "row, calls = Scorer.row, []\n"
        "def mortal(*args):\n"
        "    calls.append(args)\n"
        "    if len(calls) == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return row(*args)\n"
        "Scorer.row = mortal\n"
        "main(sys.argv[1:])\n"
    )
    whole = (folder / EXPERIMENT / "sweep.csv").read_bytes()
    (folder / EXPERIMENT / "sweep.csv").unlink()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = [sys.executable, "-c", code, *command_of("sweep")]
    killed = subprocess.run(start, cwd=folder, env=environment, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    left = sorted(path.name for path in (folder / PARTS).glob("*/*.json"))
    assert left == ["seed-0-width-2.json", "seed-0-width-3.json"]
    for path in (folder / PARTS).glob("*/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 1000.0}))
    again = [sys.executable, "-m", "neumeta.stages.metamorphosis.sweep", *command_of("sweep")]
    subprocess.run(again, cwd=folder, env=environment, timeout=120, check=True)
    assert (folder / EXPERIMENT / "sweep.csv").read_bytes() == whole
    record = json.loads((folder / EXPERIMENT / "sweep.run.json").read_text())
    assert 2000 < record["seconds"] < 2100  # the two parts were taken, not measured again


@pytest.mark.parametrize("change", ["nothing", "params", "inr", "code"])
def test_parts_of_other_inputs_are_not_taken(
    change: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_stage("sweep", ["--shard", "1/1"]) == 0
    spoil_parts(copy, 0.987654)
    if change == "params":
        params = toy_params()
        params["digits-lenet"]["sweep"]["draws"] = 2
        write_toy_params(copy, params)
    elif change == "inr":
        first, second = inr_files(copy / EXPERIMENT / "inr")
        first.write_bytes(second.read_bytes())
    elif change == "code":
        monkeypatch.setattr("neumeta.stages.metamorphosis.sweep.loaded_code", lambda: [__file__])
    assert run_stage("sweep") == 0
    taken = "0.987654" in (copy / EXPERIMENT / "sweep.csv").read_text()
    assert taken is (change == "nothing")


def test_a_dead_generator_is_found_in_the_join(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_stage("sweep", ["--shard", "1/1"]) == 0
    spoil_parts(copy, 0.0)
    assert run_stage("sweep") == 1
    assert "sweep of INR seed 0: the generator is dead" in capsys.readouterr().err


def idle_resnet() -> tuple[MorphableNetwork, Dataset]:
    """An INR whose kernels are zero, and images whose labels its biases alone get right."""
    draw = torch.Generator().manual_seed(0)
    spec = {"image_shape": [3, 16, 16], "classes": ["a", "b", "c"]}
    settings = {"name": "cifar_resnet", "depth": 20, "scope": "last_block"}
    family = make_family({**settings, "base_width": 64, "min_width": 4, "max_width": 64}, spec)
    torch.manual_seed(0)  # the layers that build() makes draw from the global state
    base = parameters_of(family.build(at(64)))
    inr = WeightGenerator(family, toy_params()["digits-lenet"]["train"], draw)
    for index, name in enumerate(family.generated):
        inr.scale[index] = 0.0 if base[name].ndim > 1 else 300.0
    frozen = {name: base[name] for name in family.frozen}
    header = {"seed": 0, "noise": 0.0, "train_widths": [32, 64]}
    morph = MorphableNetwork(family, inr, frozen, header)
    images = torch.randint(0, 256, (200, 3, 16, 16), generator=draw).to(torch.uint8)
    splits: dict[SplitName, torch.Tensor] = dict.fromkeys(("train", "val", "test"), images)
    blank = {name: torch.zeros(200, dtype=torch.long) for name in splits}
    scaling = (0.5, 0.5, 0.5), (0.3, 0.3, 0.3)
    dataset = Dataset("toy", "classification", splits, blank, ("a", "b", "c"), 255, *scaling)
    with torch.no_grad():
        labels = morph.sample(64)(dataset.split("test").inputs).argmax(1)
    return morph, replace(dataset, labels={**blank, "test": labels})


def test_biases_alone_are_no_life() -> None:
    """They can lift a ResNet far above the floor of all generated weights at zero."""
    morph, dataset = idle_resnet()
    params = parse(
        SweepParams,
        {
            "widths": {"start": 32, "stop": 64, "step": 32},
            "precision": "float32",
            "draws": 1,
            "seed": 0,
        },
        "toy",
        "sweep",
    )
    weights = morph.weights(64, draws=1)
    nothing = bypass_weights(weights, morph.family.generated)
    floor = Scorer(morph.family, dataset, [at(64)]).score(at(64), nothing).accuracy
    check_alive({64: 1.0}, floor, 200, "the floor of nothing is fooled")
    with pytest.raises(CollapseError, match="sweep of INR seed 0: the generator is dead"):
        sweep([morph], dataset, params, "toy")


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "1/2/3", "-1/2", "1/x", "1/ 2"])
def test_a_wrong_shard_is_one_line(
    text: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_stage("sweep", [f"--shard={text}"]) == 1
    expected = f"--shard {text!r}: must be I/N with I from 1 to N, for example 1/4"
    assert capsys.readouterr().err == f"sweep: error: {expected}\n"
    assert not (copy / PARTS).exists()
    with pytest.raises(UserError):
        parse_shard(text)


@given(st.integers(0, 60), st.integers(1, 70))
def test_shards_divide_the_work(items: int, count: int) -> None:
    shares = [parse_shard(f"{i}/{count}").of(range(items)) for i in range(1, count + 1)]
    assert sorted(item for share in shares for item in share) == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_parts_keep_every_bit(tmp_path: Path) -> None:
    parts, unit = SweepParts(tmp_path, "key"), Unit(0, 3)
    assert parts.read(unit) is None
    part = Part((ROW, replace(ROW, method="other", seed=None)), 0.1)
    parts.write(unit, part)
    assert SweepParts(tmp_path, "key").read(unit) == part
    parts.write(unit, Part((replace(ROW, loss=math.nan),), 0.1))
    kept = parts.read(unit)
    assert kept is not None and math.isnan(kept.rows[0].loss)


@pytest.mark.parametrize("text", ['{"rows": [{', "[]", '{"seconds": 1.0}', '{"rows": [{"a": 1}]}'])
def test_a_damaged_part_is_measured_again(text: str, tmp_path: Path) -> None:
    parts, unit = SweepParts(tmp_path, "key"), Unit(0, None)
    parts.write(unit, Part((ROW,), 0.1))
    (file,) = (tmp_path / "key").iterdir()
    assert file.name == "seed-0-bypass.json"
    file.write_text(text)
    assert parts.read(unit) is None
    assert not file.exists()


def test_parts_of_another_key_are_forgotten(tmp_path: Path) -> None:
    root = tmp_path / "experiment" / "sweep"
    SweepParts(root, "old").write(Unit(0, 3), Part((ROW,), 0.1))
    new = SweepParts(root, "new")
    assert new.read(Unit(0, 3)) is None
    assert SweepParts(root, "old").read(Unit(0, 3)) is None
    new.write(Unit(0, 3), Part((ROW,), 0.1))
    new.remove()
    assert not root.parent.exists()


def test_units_are_ordered_by_seed_then_width(finished: Path) -> None:
    morphs = [load(path) for path in inr_files(finished / EXPERIMENT / "inr")]
    params = parse(SweepParams, toy_params()["digits-lenet"]["sweep"], "toy", "sweep")
    expected = [Unit(seed, width) for seed in (0, 1) for width in (2, 3, 4, None)]
    assert units_of(morphs, params) == expected
