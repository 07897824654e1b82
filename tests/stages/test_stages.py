"""What every stage owes: the same bytes again, and one line for what goes wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from neumeta.measure.results import RESULT_COLUMNS, read_results
from tests.stages.commands import STAGES, run_stage, words_of
from tests.toy import ROOT, toy_params, write_toy_params

EXPERIMENT = Path("data/experiments/digits-lenet")


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the records of runs, which hold times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.endswith(".run.json")
        and ".resume" not in path.relative_to(folder).parts
    }


@pytest.mark.parametrize("stage", [*STAGES, "index"])
def test_a_second_run_gives_the_same_bytes(stage: str, copy: Path) -> None:
    before = contents(copy)
    if stage == "report":  # its page shows the times of the runs, which are inputs: unchanged here
        assert any(path.endswith("index.html") for path in before)
    shutil.rmtree("data/.resume", ignore_errors=True)  # what earlier runs kept
    assert run_stage(stage) == 0
    assert contents(copy) == before


@pytest.mark.parametrize("stage", ["train", "sweep", "baselines", "ablate"])
def test_a_stage_leaves_the_unfinished_work_of_the_others_alone(stage: str, copy: Path) -> None:
    others = {"train", "sweep", "baselines", "ablate"} - {stage}
    kept = [Path("data/.resume/digits-lenet", other, "key", "part.json") for other in others]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.write_text("{}", encoding="utf-8")
    assert run_stage(stage) == 0
    assert all(path.is_file() for path in kept)


@pytest.mark.parametrize("stage", ["train", "sweep"])
def test_what_was_kept_of_other_inputs_is_forgotten_at_once(stage: str, copy: Path) -> None:
    stale = Path("data/.resume/digits-lenet", stage, "key", "job.state.safetensors")
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    assert run_stage(stage, ["--shard", "9/9"]) == 0  # has nothing to do
    assert not stale.exists()


@pytest.mark.parametrize("stage", ["train", "sweep", "baselines", "ablate", "study"])
def test_a_wrong_shard_is_refused_before_any_work(
    stage: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(copy)
    assert run_stage(stage, ["--shard=3/2"]) == 1
    expected = "--shard '3/2': must be I/N with I from 1 to N, for example 1/4"
    assert capsys.readouterr().err == f"{stage}: error: {expected}\n"
    assert contents(copy) == before


@pytest.mark.parametrize("stage", ["train", "baselines"])
def test_side_by_side_gives_the_bytes_of_one_process(stage: str, copy: Path) -> None:
    before = contents(copy)
    shutil.rmtree("data/.resume", ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NEUMETA_WORKERS": "2"}
    done = subprocess.run(
        [sys.executable, *words_of(stage)[1:]], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for shard in ("1/2", "2/2"):
        assert f"[{shard}] {stage} digits-lenet, shard {shard}: 0 jobs were there" in done.stderr
    assert contents(copy) == before


COMPUTING = ["fetch", "train", "sweep", "baselines", "ablate", "study"]


@pytest.mark.parametrize("stage", COMPUTING)
def test_a_wrong_device_is_refused_before_any_work(
    stage: str, copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, allowed = contents(copy), "must be auto, cpu, cuda, cuda:N or mps"
    assert run_stage(stage, ["--device=tpu"]) == 1
    assert capsys.readouterr().err == f"{stage}: error: --device is 'tpu'; {allowed}\n"
    monkeypatch.setenv("NEUMETA_DEVICE", "tpu")
    assert run_stage(stage) == 1
    assert capsys.readouterr().err == f"{stage}: error: NEUMETA_DEVICE is 'tpu'; {allowed}\n"
    assert contents(copy) == before


def test_another_seed_gives_other_bytes(copy: Path) -> None:
    before = contents(copy)
    params = toy_params()
    params["digits-lenet"]["fetch"]["seed"] = 5
    write_toy_params(copy, params)
    assert run_stage("fetch") == 0
    changed = {name for name, data in contents(copy).items() if before[name] != data}
    assert f"{EXPERIMENT}/base.safetensors" in changed


def test_result_tables_hold_every_method_width_and_seed(finished: Path) -> None:
    table = read_results(finished / "reports/digits-lenet/accuracy_vs_width.csv")
    assert tuple(table.columns) == RESULT_COLUMNS
    found = {
        (method, int(width), None if pd.isna(seed) else int(seed))
        for method, width, seed in zip(table.method, table.width, table.seed, strict=True)
    }
    expected = {("base", 4, None), ("pruned-l1-finetuned", 3, 0)}
    expected |= {("individual", 3, seed) for seed in (0, 1)}
    for method in ("neumeta", "neumeta-noise-free"):
        expected |= {(method, width, seed) for width in (2, 3, 4) for seed in (0, 1)}
    for method in ("merged", "interpolated", "bypass", "pruned-l1"):
        expected |= {(method, width, None) for width in (2, 3, 4)}
    assert found == expected
    assert not table.duplicated(["method", "width", "seed"]).any()
    assert set(table.loc[table.seen, "width"]) == {3, 4}
    assert table.accuracy.between(0, 1).all()
    by_width = table.groupby("width")["params"].nunique()
    assert (by_width == 1).all()


def test_the_base_width_is_the_same_network_for_all_training_free_methods(finished: Path) -> None:
    """At the base width interpolation and pruning change nothing: an end-to-end cross-check."""
    table = read_results(finished / EXPERIMENT / "baselines.csv")
    top = table[table.width == 4].set_index("method")
    accuracy = top["accuracy"].to_dict()
    for method in ("interpolated", "pruned-l1"):
        assert accuracy[method] == accuracy["base"]


def test_stale_seeds_do_not_survive_a_rerun(copy: Path) -> None:
    stale = copy / EXPERIMENT / "inr" / "seed-7.safetensors"
    stale.write_bytes(b"old")
    assert run_stage("train") == 0
    assert not stale.exists()


def test_train_leaves_no_resume_state(finished: Path) -> None:
    assert not (finished / "data/.resume/digits-lenet/train").exists()


def test_a_dead_generator_fails_loudly_and_keeps_nothing(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = toy_params()
    train = params["digits-lenet"]["train"]
    train["warm_start"]["steps"] = 0
    train["losses"] |= {"task": 0.0, "distillation": 0.0, "reconstruction": 0.0}
    train["losses"]["regularisation"] = 100.0  # pulls every weight to zero
    train["task"]["lr"] = 0.05
    write_toy_params(copy, params)
    before = contents(copy)
    assert run_stage("train") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the generator is dead" in error
    assert "bypass floor" in error
    after = {n: d for n, d in contents(copy).items() if not n.startswith("data/.resume")}
    assert after == before


def keys(value: object, place: str = "") -> set[str]:
    """Dotted keys of nested mappings."""
    if not isinstance(value, dict):
        return {place}
    return {key for name, inner in value.items() for key in keys(inner, f"{place}.{name}")}


def test_the_toy_has_exactly_the_keys_of_the_real_experiment(finished: Path) -> None:
    safe = YAML(typ="safe", pure=True)
    toy = safe.load((finished / "params.yaml").read_text(encoding="utf-8"))["digits-lenet"]
    real = safe.load((ROOT / "params.yaml").read_text(encoding="utf-8"))["digits-lenet"]
    assert keys(toy) == keys(real)


def test_data_of_another_experiment_is_refused(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = toy_params()
    params["digits-lenet"]["dataset"] = "mnist"
    write_toy_params(copy, params)
    before = contents(copy)
    assert run_stage("fetch") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "digits-lenet.dataset is 'mnist', but data/datasets/digits" in error
    assert error.endswith("holds 'digits'")
    assert contents(copy) == before


@pytest.mark.parametrize(
    ("stage", "key"), [("train", "widths"), ("sweep", "widths"), ("baselines", "widths")]
)
def test_a_width_out_of_the_family_is_refused_before_any_work(
    stage: str, key: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = toy_params()
    params["digits-lenet"][stage][key] = {"start": 7, "stop": 7, "step": 1}
    write_toy_params(copy, params)
    before = contents(copy)
    assert run_stage(stage) == 1
    assert "width 7 is outside the lenet family; use 2..6" in capsys.readouterr().err
    assert contents(copy) == before


def test_pruning_above_the_base_width_is_refused(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = toy_params()
    params["digits-lenet"]["baselines"]["pruned"]["widths"] = [5]
    write_toy_params(copy, params)
    assert run_stage("baselines") == 1
    assert "width 5 is above the base width" in capsys.readouterr().err
