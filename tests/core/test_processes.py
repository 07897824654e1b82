"""Two processes under torchrun train the INR that one process trains."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from neumeta.core import processes as processes_module
from neumeta.core.errors import UserError
from neumeta.core.processes import ProcessGroup, assembled
from tests.stages.commands import command_of, run_stage
from tests.toy import ROOT, toy_params, write_toy_params

EXPERIMENT = "data/experiments/digits-lenet"


def short_params(muon: float | None) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(json.dumps(toy_params()))
    train = params["digits-lenet"]["train"]
    train["optimiser"]["muon_momentum"] = muon
    if muon is not None:  # its steps ask for other rates; with those of AdamW the toy INR dies
        train["warm_start"] |= {"lr": 3e-2, "noise": 0.0}
        train["task"]["lr"], train["noise"] = 1e-3, 0.0
        train["losses"]["reconstruction"] = 100.0
    train["seeds"], train["task"]["steps"] = [0], 20
    train["validate_every"] = 20
    return params


def prepared(folder: Path, finished: Path, muon: float | None) -> Path:
    """A folder with all that the stage train reads."""
    (folder / EXPERIMENT).mkdir(parents=True)
    (folder / "data/datasets").mkdir()
    write_toy_params(folder, short_params(muon))
    for name in ("data/datasets/digits.safetensors", f"{EXPERIMENT}/permuted.safetensors"):
        (folder / name).write_bytes((finished / name).read_bytes())
    return folder


def train_in(
    folder: Path, finished: Path, processes: int, muon: float | None
) -> subprocess.CompletedProcess[str]:
    prepared(folder, finished, muon)
    return torchrun(
        folder, processes, "-m", "neumeta.stages.metamorphosis.train", *command_of("train")
    )


def torchrun(folder: Path, processes: int, *command: str) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, *launcher, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize("muon", [None, 0.95])
def test_two_processes_equal_one(
    muon: float | None, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = train_in(tmp_path / "2", finished, 2, muon)
    assert done.returncode == 0, done.stderr[-2000:]
    if muon is None:
        done = train_in(tmp_path / "1", finished, 1, muon)
        assert done.returncode == 0, done.stderr[-2000:]
    else:  # the same without torchrun, which takes less time
        monkeypatch.chdir(prepared(tmp_path / "1", finished, muon))
        assert run_stage("train") == 0
    alone, shared = (tmp_path / str(n) / EXPERIMENT for n in (1, 2))
    ours = load_file(shared / "inr/seed-0.safetensors")
    wanted = load_file(alone / "inr/seed-0.safetensors")
    start = load_file(finished / EXPERIMENT / "inr/seed-0.safetensors")
    assert ours.keys() == wanted.keys()
    # Muon finds its direction in bfloat16, and weighs directions without signal like the others;
    # half the batch would change its matrices by 2e-3.
    rounding, of_losses = (1e-5, 1e-3) if muon is None else (1e-3, 1e-2)
    for name, value in wanted.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=rounding)
    assert any(not torch.allclose(start[name], wanted[name], atol=1e-3) for name in wanted)
    curves = [pd.read_csv(place / "train.csv") for place in (alone, shared)]
    pd.testing.assert_frame_equal(curves[0], curves[1], rtol=of_losses)
    assert not list((tmp_path / "2/data/.resume").iterdir())


def test_a_world_size_that_torchrun_did_not_set_means_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "many")
    with assembled() as processes:
        assert processes.size == 1


DISAGREE = """
from neumeta.core.errors import UserError
from neumeta.core.processes import assembled
with assembled() as processes:
    processes.agree("seed 0, task, step 5")
    try:
        processes.agree(f"seed 0, task, step {5 * processes.rank}")
    except UserError as error:
        with open(f"rank-{processes.rank}.txt", "w") as file:
            file.write(str(error))
"""


def test_processes_that_resume_different_states_stop(tmp_path: Path) -> None:
    (tmp_path / "disagree.py").write_text(DISAGREE)
    done = torchrun(tmp_path, 2, "disagree.py")
    assert done.returncode == 0, done.stderr[-2000:]
    for rank in range(2):
        text = (tmp_path / f"rank-{rank}.txt").read_text()
        assert "process 0: seed 0, task, step 0; process 1: seed 0, task, step 5" in text
        assert "share one folder data/.resume" in text


ELSEWHERE = """
import torch
from neumeta.core.processes import assembled
from tests.other_device import pretend
with assembled(pretend()) as processes:
    assert processes.device == pretend()
    values = torch.ones(2, device=pretend(), requires_grad=True)
    ((1.0 + 2 * processes.rank) * values).sum().backward()
    processes.average_gradients([values])
    assert values.grad.device == pretend()
    mean = processes.mean({"b": 4.0 * processes.rank, "a": 1.0})
    with open(f"rank-{processes.rank}.txt", "w") as file:
        file.write(f"{values.grad.tolist()} {mean}")
"""


def test_gradients_of_another_device_are_averaged(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    done = torchrun(tmp_path, 2, "elsewhere.py")
    assert done.returncode == 0, done.stderr[-2000:]
    for rank in range(2):
        text = (tmp_path / f"rank-{rank}.txt").read_text()
        assert text == "[2.0, 2.0] {'a': 1.0, 'b': 2.0}"


@pytest.mark.parametrize(
    ("name", "own", "backend"), [("cuda", "cuda:1", "nccl"), ("mps", "mps", "gloo")]
)
def test_processes_on_cards_talk_by_nccl(
    name: str, own: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls alone: this machine may have no card."""
    calls: list[tuple[Any, ...]] = []
    for variable, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(dist, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(processes_module, "available", lambda: ("cpu", "cuda:0", "cuda:1"))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.append(("set", device)))
    monkeypatch.setattr(
        dist, "init_process_group", lambda backend, device_id: calls.append((backend, device_id))
    )
    monkeypatch.setattr(dist, "get_rank", lambda: 3)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append(("end",)))
    with assembled(torch.device(name)) as processes:
        assert processes == ProcessGroup(3, 4, torch.device(own))
    card = torch.device(own) if backend == "nccl" else None
    assert calls == [*([("set", card)] if card else []), (backend, card), ("end",)]


def test_one_card_for_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {"WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(dist, "is_torchelastic_launched", lambda: True)
    with (
        pytest.raises(UserError, match="several processes need a card each"),
        assembled(torch.device("cuda:0")),
    ):
        raise AssertionError("it began")


def test_one_process_computes_where_it_is_told() -> None:
    with assembled(torch.device("meta")) as processes:
        assert processes == ProcessGroup(0, 1, torch.device("meta"))


def test_shares_cover_the_batch_once_and_must_be_equal() -> None:
    rows = torch.arange(12)
    parts = [ProcessGroup(rank, 3).share(rows) for rank in range(3)]
    assert [len(part) for part in parts] == [4, 4, 4]
    assert sorted(torch.cat(parts).tolist()) == rows.tolist()
    with pytest.raises(UserError, match="batch_size is 32; must be a multiple of the 3 processes"):
        ProcessGroup(0, 3).check_batch(32)
