"""An interrupted run ends with the same bytes as an unbroken one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from neumeta.core.cache_key import loaded_code, state_key
from neumeta.core.checkpoint import to_bytes
from neumeta.core.reading import parse
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.resume import ResumeFolder
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.models.parameters import parameters_of
from tests.stages.commands import command_of
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
    folder = ResumeFolder(tmp_path, "key")

    def save_and_stop(trainer: Trainer) -> None:
        folder.save(trainer, seconds=1.5)
        if (trainer.phase, trainer.step) == stop_at:
            raise Interruption

    with pytest.raises(Interruption):
        Trainer(problem, seed=3).run(save=save_and_stop)
    second = Trainer(problem, seed=3)
    assert folder.restore(second) == 1.5
    assert (second.phase, second.step) == stop_at
    second.run()
    assert final_bytes(second) == final_bytes(whole)


def test_key_changes_with_parameters_and_files(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"one")
    key = state_key({"lr": 1}, [file])
    assert key == state_key({"lr": 1}, [file])
    assert key != state_key({"lr": 2}, [file])
    file.write_bytes(b"two")
    assert key != state_key({"lr": 1}, [file])


def test_the_code_that_runs_is_part_of_the_key() -> None:
    files = {Path(file).relative_to(ROOT).as_posix() for file in loaded_code()}
    assert {
        "neumeta/methods/metamorphosis/trainer.py",
        "neumeta/methods/metamorphosis/losses.py",
        "neumeta/measure/evaluate.py",
    } <= files


def test_states_of_other_keys_are_forgotten(tmp_path: Path) -> None:
    old = ResumeFolder(tmp_path, "old")
    old.save(Trainer(toy_problem(), seed=0), seconds=0.0)
    ResumeFolder(tmp_path, "old")
    assert old.state_path(0).exists()
    ResumeFolder(tmp_path, "new")
    assert not old.state_path(0).exists()


def test_a_damaged_state_is_dropped(tmp_path: Path) -> None:
    folder = ResumeFolder(tmp_path, "key")
    trainer = Trainer(toy_problem(), seed=0)
    folder.save(trainer, seconds=1.0)
    path = folder.state_path(0)
    path.write_bytes(path.read_bytes()[:200])
    fresh = Trainer(toy_problem(), seed=0)
    assert folder.restore(fresh) == 0.0
    assert not path.exists()


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
    folder = ResumeFolder(tmp_path, "key")
    folder.save(trainer, seconds=0.0)
    expected = torch.rand(3, generator=trainer.random)
    other = Trainer(toy_problem(), seed=0)
    torch.rand(50, generator=other.random)
    folder.restore(other)
    assert torch.equal(torch.rand(3, generator=other.random), expected)
