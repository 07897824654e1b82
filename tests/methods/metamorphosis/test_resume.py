"""An interrupted run ends with the same bytes as an unbroken one."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from neumeta.core.checkpoint import to_bytes
from neumeta.core.reading import parse
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.resume import restore_state, save_state
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.models.parameters import parameters_of
from tests.stages.commands import command_of, run_stage
from tests.toy import ROOT, at, toy_dataset, toy_family, toy_params, write_toy_params


def toy_problem(muon: float | None = None) -> Problem:
    dataset, family = toy_dataset(), toy_family()
    section = toy_params()["digits-lenet"]["train"]
    section["warm_start"]["steps"], section["task"]["steps"] = 20, 20
    section["validate_every"] = 20
    section["losses"]["reconstruction"] = 100.0
    section["optimiser"]["muon_momentum"] = muon
    params = parse(TrainParams, section, "toy", "train")
    return make_problem(family, parameters_of(family.initialised(at(4), seed=0)), dataset, params)


def final_bytes(trainer: Trainer) -> bytes:
    state = {f"a.{k}": v for k, v in trainer.average.state_dict().items()}
    state |= {f"i.{k}": v for k, v in trainer.inr.state_dict().items()}
    return to_bytes(state | {"random": trainer.random.get_state()}, {"history": trainer.history})


class Interruption(Exception):
    pass


@pytest.mark.parametrize("muon", [None, 0.95])
@pytest.mark.parametrize("stop_at", [("warm", 7), ("warm", 14), ("task", 7), ("task", 14)])
def test_restored_trainer_ends_with_the_same_bytes(
    stop_at: tuple[str, int], muon: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tiny run is dead by accuracy; only its bytes matter here.
    monkeypatch.setattr("neumeta.methods.metamorphosis.trainer.check_alive", lambda *_: None)
    problem = toy_problem(muon)
    whole = Trainer(problem, seed=3)
    whole.run()
    state = tmp_path / "state"

    def save_and_stop(trainer: Trainer) -> None:
        save_state(state, trainer, seconds=1.5)
        if (trainer.phase, trainer.step) == stop_at:
            raise Interruption

    with pytest.raises(Interruption):
        Trainer(problem, seed=3).run(save=save_and_stop)
    second = Trainer(problem, seed=3)
    assert restore_state(state, second) == 1.5
    assert (second.phase, second.step) == stop_at
    second.run()
    assert final_bytes(second) == final_bytes(whole)


@pytest.mark.parametrize("phase", ["warm_start", "task"])
def test_a_phase_may_have_no_steps(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neumeta.methods.metamorphosis.trainer.check_alive", lambda *_: None)
    problem = toy_problem()
    none = getattr(problem.params, phase).model_copy(update={"steps": 0})
    changed = problem.params.model_copy(update={phase: none})
    trainer = Trainer(dataclasses.replace(problem, params=changed), seed=3)
    inr = trainer.run()
    assert {row["phase"] for row in trainer.history} == {
        "task" if phase == "warm_start" else "warm"
    }
    assert trainer.phase == "task" and trainer.step == changed.task.steps
    if phase == "task":
        trained = trainer.inr.state_dict()
        assert all(torch.equal(value, trained[name]) for name, value in inr.state_dict().items())


def test_a_damaged_state_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "state"
    trainer = Trainer(toy_problem(), seed=0)
    save_state(path, trainer, seconds=1.0)
    path.write_bytes(path.read_bytes()[:200])
    fresh = Trainer(toy_problem(), seed=0)
    assert restore_state(path, fresh) == 0.0
    assert not path.exists()
    assert restore_state(path, fresh) == 0.0  # none is there


def start_training(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "neumeta.stages.metamorphosis.train", *command_of("train")]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )


def wait_for_change(folder: Path, process: subprocess.Popen[bytes], seen: set[object]) -> None:
    """Wait until the run has saved something new, or has ended."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        now = {
            (path.name, path.stat().st_mtime_ns)
            for path in (folder / "data/.resume").glob("*/train/*/*.safetensors")
        }
        if now - seen:
            seen |= now
            return
        time.sleep(0.005)


def test_killed_at_many_points_ends_with_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    """SIGKILL right after each of the first saves, again and again, until a run gets through."""
    experiment = "data/experiments/digits-lenet"
    folder = tmp_path / "killed"
    (folder / experiment).mkdir(parents=True)
    (folder / "data/datasets").mkdir()
    write_toy_params(folder, json.loads(json.dumps(toy_params())))
    for name in ("data/datasets/digits.safetensors", f"{experiment}/permuted.safetensors"):
        (folder / name).write_bytes((finished / name).read_bytes())
    seen: set[object] = set()
    kills = 0
    for attempt in range(8):
        process = start_training(folder)
        if attempt < 5:
            wait_for_change(folder, process, seen)
            time.sleep(0.03 * attempt)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
        if process.wait(timeout=240) == 0:
            break
    assert kills >= 2
    assert process.returncode == 0
    for name in ("inr/seed-0.safetensors", "inr/seed-1.safetensors", "train.csv"):
        ours = (folder / experiment / name).read_bytes()
        assert ours == (finished / experiment / name).read_bytes(), name
    assert list((folder / "data/.resume").iterdir()) == []


def test_random_state_survives_the_file(tmp_path: Path) -> None:
    trainer = Trainer(toy_problem(), seed=0)
    save_state(tmp_path / "state", trainer, seconds=0.0)
    expected = torch.rand(3, generator=trainer.random)
    other = Trainer(toy_problem(), seed=0)
    torch.rand(50, generator=other.random)
    restore_state(tmp_path / "state", other)
    assert torch.equal(torch.rand(3, generator=other.random), expected)


def test_seeds_in_shards_give_the_bytes_of_one_run(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "sharded"))
    monkeypatch.chdir(folder)
    place = folder / "data/experiments/digits-lenet"
    record_name = "../../runs/train/digits-lenet.run.json"
    names = ("inr/seed-0.safetensors", "inr/seed-1.safetensors", "train.csv", record_name)
    whole = {name: (place / name).read_bytes() for name in names}
    for name in names:
        (place / name).unlink()
    runs: list[int] = []
    run = Trainer.run

    def counting(trainer: Trainer, *args: Any) -> Any:
        runs.append(trainer.seed)
        return run(trainer, *args)

    monkeypatch.setattr(Trainer, "run", counting)
    kept = folder / "data/.resume/digits-lenet/train"
    for index, seed in ((2, 1), (1, 0)):
        runs.clear()
        assert run_stage("train", ["--shard", f"{index}/2"]) == 0
        assert runs == [seed]
        assert not any((place / name).exists() for name in names)
        assert not list(kept.rglob("*.state.safetensors"))
    for file in kept.rglob("*.json"):
        content = json.loads(file.read_text())
        assert content["value"]["seconds_shared"] > 0
        content["value"]["seconds_shared"] += 100
        file.write_text(json.dumps(content | {"seconds": content["seconds"] + 1000}))
    runs.clear()
    assert run_stage("train") == 0
    assert runs == []
    for name in names[:3]:
        assert (place / name).read_bytes() == whole[name], name
    record = json.loads((place / names[3]).read_text())
    assert all(1000 < seconds < 1100 for seconds in record["seconds_each"])
    assert 100 <= record["seconds_shared"] < 110 and 2100 < record["seconds"] < 2300
    assert not kept.exists()
