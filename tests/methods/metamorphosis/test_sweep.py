"""The sweep in jobs: shards, interruptions and stale jobs never change the table."""

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

from neumeta.core.errors import CollapseError
from neumeta.core.jobs import Finished, JobStore
from neumeta.core.reading import parse
from neumeta.core.shard import Shard
from neumeta.data.dataset import Dataset, SplitName, read_dataset
from neumeta.measure.controls import check_alive, zeroed
from neumeta.measure.evaluator import Evaluator
from neumeta.measure.results import ResultRow, results_csv, row_store, to_frame
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.methods.metamorphosis.inr_file import inr_files
from neumeta.methods.metamorphosis.morph import MorphableNetwork, load
from neumeta.methods.metamorphosis.params.train import SweepParams
from neumeta.methods.metamorphosis.sweep import Rows, Sweep
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from tests.stages.commands import command_of, run_stage
from tests.toy import ROOT, at, toy_params, write_toy_params

EXPERIMENT = Path("data/experiments/digits-lenet")
RECORD = Path("data/runs/sweep/digits-lenet.run.json")
KEPT = Path("data/.resume/digits-lenet/sweep")
ROW = ResultRow("neumeta", 3, True, 0, 1 / 3, math.pi, 100, 200)


@pytest.fixture
def copy(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **others: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(Evaluator, "row", refuse)


def spoil_jobs(folder: Path, accuracy: float) -> None:
    """Give all jobs one accuracy, by which they are recognised."""
    files = list((folder / KEPT).glob("*/*.json"))
    assert len(files) == 8  # two seeds, three widths and the floor
    for file in files:
        content = json.loads(file.read_text())
        for row in content["value"]:
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
    store = row_store(tmp_path, "shared")
    for index in reversed(range(1, count + 1)):
        Sweep(morphs, dataset, params).measure_shard(store, Shard(index, count))
    no_measuring(monkeypatch)
    rows = Sweep(morphs, dataset, params).measure(store, "toy")
    whole = (finished / EXPERIMENT / "sweep.csv").read_text()
    assert results_csv(to_frame(rows)) == whole
    order = [(row.seed, row.width, row.method) for row in rows]
    methods = ("neumeta", "neumeta-noise-free")
    assert order == [(s, w, m) for s in (0, 1) for w in (2, 3, 4) for m in methods]


def test_low_precision_scores_nearly_the_same_networks(finished: Path, tmp_path: Path) -> None:
    morphs = [load(inr_files(finished / EXPERIMENT / "inr")[0])]
    dataset = read_dataset(finished / "data/datasets/digits.safetensors")
    section = toy_params()["digits-lenet"]["sweep"]
    losses = []
    for precision in ("float32", "bfloat16"):
        params = parse(SweepParams, section | {"precision": precision}, "toy", "sweep")
        rows = Sweep(morphs, dataset, params).measure(row_store(tmp_path, precision), "toy")
        losses.append([row.loss for row in rows])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def kept_jobs(folder: Path) -> dict[str, Path]:
    """Files of finished jobs by their names."""
    files = (folder / KEPT).glob("*/*.json")
    return {json.loads(file.read_text())["job"]: file for file in files}


def test_the_stage_leaves_jobs_for_the_run_that_joins(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, record = copy / EXPERIMENT / "sweep.csv", copy / RECORD
    whole = table.read_bytes()
    table.unlink()
    record.unlink()
    assert run_stage("sweep", ["--shard", "1/2"]) == 0
    assert run_stage("sweep", ["--shard", "2/2"]) == 0
    assert not table.exists() and not record.exists()
    slow = kept_jobs(copy)["seed 0, width 2"]
    slow.write_text(json.dumps(json.loads(slow.read_text()) | {"seconds": 1000.0}))
    no_measuring(monkeypatch)
    assert run_stage("sweep") == 0
    assert table.read_bytes() == whole
    assert 1000 < json.loads(record.read_text())["seconds"] < 1100
    assert not (copy / KEPT).exists()


def test_a_killed_sweep_goes_on_from_its_jobs(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(finished, folder)
    code = (
        "import os, signal, sys\n"
        "from neumeta.measure.evaluator import Evaluator\n"
        "from neumeta.stages.metamorphosis.sweep import main\n"
        "row, calls = Evaluator.row, []\n"
        "def mortal(*args, **others):\n"
        "    calls.append(args)\n"
        "    if len(calls) == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return row(*args, **others)\n"
        "Evaluator.row = mortal\n"
        "main(sys.argv[1:])\n"
    )
    whole = (folder / EXPERIMENT / "sweep.csv").read_bytes()
    (folder / EXPERIMENT / "sweep.csv").unlink()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = [sys.executable, "-c", code, *command_of("sweep")]
    killed = subprocess.run(start, cwd=folder, env=environment, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    left = kept_jobs(folder)
    assert sorted(left) == ["seed 0, width 2", "seed 0, width 3"]
    for path in left.values():
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 1000.0}))
    again = [sys.executable, "-m", "neumeta.stages.metamorphosis.sweep", *command_of("sweep")]
    subprocess.run(again, cwd=folder, env=environment, timeout=120, check=True)
    assert (folder / EXPERIMENT / "sweep.csv").read_bytes() == whole
    record = json.loads((folder / RECORD).read_text())
    assert 2000 < record["seconds"] < 2100  # the two jobs were taken, not measured again


@pytest.mark.parametrize("change", ["nothing", "params", "inr", "code"])
def test_jobs_of_other_inputs_are_not_taken(
    change: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_stage("sweep", ["--shard", "1/1"]) == 0
    spoil_jobs(copy, 0.987654)
    if change == "params":
        params = toy_params()
        params["digits-lenet"]["sweep"]["draws"] = 2
        write_toy_params(copy, params)
    elif change == "inr":
        first, second = inr_files(copy / EXPERIMENT / "inr")
        first.write_bytes(second.read_bytes())
    elif change == "code":
        monkeypatch.setattr("neumeta.core.jobs.own_identity", lambda stage: "other")
    assert run_stage("sweep") == 0
    taken = "0.987654" in (copy / EXPERIMENT / "sweep.csv").read_text()
    assert taken is (change == "nothing")


def test_a_dead_generator_is_found_in_the_join(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_stage("sweep", ["--shard", "1/1"]) == 0
    spoil_jobs(copy, 0.0)
    assert run_stage("sweep") == 1
    assert "sweep of INR seed 0: the generator is dead" in capsys.readouterr().err


def channel_constant_resnet() -> tuple[MorphableNetwork, Dataset]:
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


def test_biases_alone_are_no_life(tmp_path: Path) -> None:
    """They can lift a ResNet far above the floor of all generated weights at zero."""
    morph, dataset = channel_constant_resnet()
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
    nothing = zeroed(weights, morph.family.generated)
    floor = Evaluator(morph.family, dataset).deciding(at(64), nothing)
    check_alive({64: 1.0}, floor, 200, "the floor of nothing is fooled")
    with pytest.raises(CollapseError, match="sweep of INR seed 0: the generator is dead"):
        Sweep([morph], dataset, params).measure(row_store(tmp_path, None), "toy")


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "1/2/3", "-1/2", "1/x", "1/ 2"])
def test_a_wrong_shard_is_one_line(
    text: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_stage("sweep", [f"--shard={text}"]) == 1
    expected = f"--shard {text!r}: must be I/N with I from 1 to N, for example 1/4"
    assert capsys.readouterr().err == f"sweep: error: {expected}\n"
    assert not (copy / KEPT).exists()


def first_job(finished: Path, tmp_path: Path) -> tuple[JobStore[Rows], Sweep]:
    morphs = [load(path) for path in inr_files(finished / EXPERIMENT / "inr")]
    params = parse(SweepParams, toy_params()["digits-lenet"]["sweep"], "toy", "sweep")
    dataset = read_dataset(finished / "data/datasets/digits.safetensors")
    return row_store(tmp_path, "shared"), Sweep(morphs, dataset, params)


def test_jobs_keep_every_bit(finished: Path, tmp_path: Path) -> None:
    store, sweep = first_job(finished, tmp_path)
    job = sweep.jobs()[0]
    assert store.read(job) is None
    made: Finished[Rows] = Finished((ROW, replace(ROW, method="other", seed=None)), 0.1)
    store.keep(job, made)
    assert row_store(tmp_path, "shared").read(job) == made
    store.keep(job, Finished((replace(ROW, loss=math.nan),), 0.1))
    kept = store.read(job)
    assert kept is not None and math.isnan(kept.value[0].loss)


@pytest.mark.parametrize(
    "text",
    ['{"value": [{', "[]", '{"seconds": 1.0}', '{"value": [{"a": 1}], "seconds": 1.0}'],
)
def test_a_damaged_job_is_measured_again(text: str, finished: Path, tmp_path: Path) -> None:
    store, sweep = first_job(finished, tmp_path)
    floor = sweep.jobs()[3]
    store.keep(floor, Finished((ROW,), 0.1))
    (file,) = store.folder.iterdir()
    assert json.loads(file.read_text())["job"] == "seed 0, bypass"
    file.write_text(text)
    assert store.read(floor) is None
    assert not file.exists()


def test_jobs_are_ordered_by_seed_then_width(finished: Path, tmp_path: Path) -> None:
    _, sweep = first_job(finished, tmp_path)
    points = ({"width": 2}, {"width": 3}, {"width": 4}, None)
    expected = [[seed, values] for seed in (0, 1) for values in points]
    assert [job.settings for job in sweep.jobs()] == expected
