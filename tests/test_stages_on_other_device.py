"""Every stage that computes, on a device that is not the CPU: the same bytes, and nothing left.

A stage runs once on the CPU and once on the device of `tests.other_device`, which gives the CPU's
numbers and refuses every operation on tensors of both. The two runs must write the same files, and
no convolution and no product of an INR may run on the CPU meanwhile.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import neumeta
from neumeta import __main__ as command
from neumeta.core import device as devices
from neumeta.core.device import CPU
from neumeta.data.dataset import write_dataset
from neumeta.measure.evaluator import evaluate
from neumeta.methods.metamorphosis import ablation, seeds, sweep, trainer
from neumeta.models.export import SUFFIXES, export_network
from neumeta.models.parameters import moved, parameters_of
from neumeta.tasks.batch import Batch
from neumeta.tasks.classification import Classification
from neumeta.tasks.tally import Tally
from tests.methods.metamorphosis.baselines.toy_examples import AUGMENTATION, RESNET, every_kind
from tests.other_device import pretend
from tests.stages.commands import run_stage
from tests.toy import COARSE, RECIPE, at, toy_dataset, toy_family, toy_params, write_toy_params

ALONE = "NEUMETA_TEST_OTHER_DEVICE"
pytestmark = pytest.mark.skipif(
    ALONE not in os.environ, reason="runs in a process of its own, by test_other_device_alone.py"
)

ROOT = Path("data/experiments/digits-lenet")
STUDY = Path("data/studies/permutation-study")
INR, DATA = str(ROOT / "inr/seed-0.safetensors"), "data/datasets/digits.safetensors"
OUTS = {
    "fetch": (ROOT / "base.safetensors", ROOT / "base.csv"),
    "train": (Path(INR), ROOT / "train.csv"),
    "sweep": (ROOT / "sweep.csv",),
    "baselines": (ROOT / "baselines.csv",),
    "ablate": (ROOT / "ablate.csv",),
    "study": (STUDY / "study.json",),
}


class Watch:
    """Refuses the products that a stage is there for, unless they run on the device.

    A family is traced on the CPU, once in a process: the runs on the CPU have done that before.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen = 0
        patch.setattr(F, "conv2d", self._watched(F.conv2d))
        patch.setattr(torch, "baddbmm", self._watched(torch.baddbmm))

    def _watched(self, product: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def watched(first: Tensor, *others: Any) -> Tensor:
            if not first.is_meta:  # those are only counted
                assert first.device == pretend(), f"{product.__name__} on {first.device}"
                assert not torch.is_autocast_enabled("cpu"), "the precision is the CPU's"
                self.seen += 1
            return product(first, *others)

        return watched


def short(case: str) -> dict[str, Any]:
    """The toy parameters with a few steps of every training."""
    params = toy_params()
    toy = params["digits-lenet"]
    steps = {key: value for key, value in RECIPE.items() if key != "epochs"} | {"steps": 2}
    toy["fetch"]["recipe"] = steps
    toy["train"] |= {"seeds": [0], "validate_every": 2, "log_every": 1, "save_every": 2}
    toy["train"]["warm_start"]["steps"] = 2
    toy["train"]["task"]["steps"] = 3
    toy["sweep"] |= {"widths": {"start": 2, "stop": 4, "step": 2}, "draws": 2}
    fresh = {"widths": [3], "seeds": [0], "trains": "all", "recipe": steps}
    toy["baselines"] |= {"individual": fresh, "pruned": None}
    toy["ablate"] |= {"tables": [table({"optimiser.name": "sgd", "losses.regularisation": 0.1})]}
    params["permutation-study"]["study"]["change"] = {"task.steps": 1, "warm_start.steps": 1}
    params["orders"]["seeds"] = [0]
    if case == "resnet":
        toy["family"] = RESNET
        toy["train"] |= {
            "widths": {"start": 32, "stop": 64, "step": 32},
            "draw": "cell",
            "precision": "bfloat16",
            "augmentation": AUGMENTATION.model_dump(),
            "coordinates": {"jitter": "channel", "origin": "centre", "size": "none"},
            "coarse": COARSE | {"widths": {"start": 32, "stop": 64, "step": 32}},
            "probe_widths": [32],
        }
        toy["train"]["coarse"]["grids"] = {"start": 16, "stop": 24, "step": 8}
        toy["train"]["encoding"]["blur"] = 1.0
        toy["train"]["optimiser"]["muon_momentum"] = 0.95
        toy["sweep"] |= {"widths": {"start": 32, "stop": 64, "step": 32}, "precision": "bfloat16"}
        kinds = every_kind({"start": 32, "stop": 32, "step": 1}, [32])
        toy["baselines"] = kinds.model_dump(mode="json")
        toy["ablate"] |= {"widths": [32], "tables": [table({"precision": "float32"})]}
    return params


def table(change: dict[str, Any]) -> dict[str, Any]:
    """A table of one row."""
    return {"name": "one", "title": "One", "rows": [{"name": "row", "change": change}]}


@pytest.fixture(scope="module", params=["lenet", "resnet"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every stage has run on the CPU."""
    pretend()  # before the first backward pass of the process
    folder = tmp_path_factory.mktemp(request.param)
    write_toy_params(folder, short(request.param))
    write_dataset(folder / DATA, replace(toy_dataset(), name="digits"))
    stages = ["fetch", "permute", "train", "sweep", "baselines", "ablate"]
    if request.param == "lenet":
        stages += ["study"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for module in (trainer, sweep, ablation):  # so few steps make nothing alive
            patch.setattr(module, "check_alive", lambda *_: None)
        for stage in stages:
            assert run_stage(stage) == 0, stage
        shutil.rmtree("data/.resume", ignore_errors=True)
        with Path("evaluate.txt").open("w") as stream, contextlib.redirect_stdout(stream):
            assert command.main(evaluation(request.param)) == 0
    return folder


def evaluation(case: str) -> list[str]:
    """Arguments of `neumeta`."""
    widths = ["--width", "3", "4"] if case == "lenet" else ["--width", "32"]
    return ["evaluate", INR, *widths, "--dataset", DATA, "--draws", "2"]


@pytest.fixture
def there(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A copy of that folder, in which the device is chosen."""
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "choose_device", lambda flag: pretend())
    for module in (trainer, sweep, ablation):
        monkeypatch.setattr(module, "check_alive", lambda *_: None)
    return Watch(monkeypatch)


def same_again(stage: str, watch: Watch) -> None:
    """Run a stage; it must write what is there, and tell where it computed."""
    before = {path: path.read_bytes() for path in OUTS[stage]}
    for path in before:
        path.unlink()
    assert run_stage(stage) == 0
    assert watch.seen > 0
    for path, content in before.items():
        assert path.read_bytes() == content, path
    of = "permutation-study" if stage == "study" else "digits-lenet"
    record = Path(f"data/runs/{stage}/{of}.run.json")
    assert json.loads(record.read_text())["device"] == "pretend:0"


@pytest.mark.parametrize("stage", ["fetch", "train", "sweep", "baselines", "ablate"])
def test_a_stage_computes_on_the_device(stage: str, there: Watch) -> None:
    same_again(stage, there)


@pytest.mark.parametrize("done", ["lenet"], indirect=True)
def test_a_study_computes_on_the_device(there: Watch) -> None:
    same_again("study", there)


@pytest.mark.parametrize("done", ["resnet"], indirect=True)
def test_a_killed_training_goes_on_there(there: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(seeds, "save_state", killed_after(seeds.save_state))
        assert run_stage("train") == 130
    (state,) = Path("data/.resume/digits-lenet/train").rglob("*.state.safetensors")
    same_again("train", there)
    assert not state.exists()


def killed_after(save: Callable[..., None]) -> Callable[..., None]:
    """Save a state and be killed."""

    def saved(*args: Any) -> None:
        save(*args)
        raise KeyboardInterrupt

    return saved


def test_the_command_evaluates_on_the_device(
    request: pytest.FixtureRequest, there: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = request.node.callspec.params["done"]
    assert command.main(evaluation(case)) == 0
    assert there.seen > 0
    assert capsys.readouterr().out == Path("evaluate.txt").read_text()


def test_the_whole_batch_of_a_score_lies_on_the_device() -> None:
    class Watchful(Classification):
        def tally(self, outputs: Tensor, batch: Batch) -> Tally:
            found = {outputs.device, *(column.device for column in vars(batch).values())}
            assert found == {pretend()}
            return super().tally(outputs, batch)

    family, split = toy_family(), toy_dataset().to(pretend()).split("test")
    weights = moved(parameters_of(family.build(at(4))), pretend())
    assert evaluate(family.skeleton(at(4)), weights, split, Watchful()).examples == len(split)


@pytest.mark.parametrize("done", ["lenet"], indirect=True)
def test_networks_are_made_and_written_where_the_file_was_loaded(
    done: Path, tmp_path: Path
) -> None:
    images, made = toy_dataset().images["test"][:4], {}
    for name, device in {"cpu": CPU, "there": pretend()}.items():
        morph = neumeta.load(done / INR, device)
        network = morph.sample(width=3, draws=2)
        outputs = network(morph.preprocess(images.to(device)))
        assert outputs.device == device
        for suffix in SUFFIXES:
            export_network(tmp_path / f"{name}{suffix}", network, morph.family, at(3), {})
        files = [(tmp_path / f"{name}{suffix}").read_bytes() for suffix in SUFFIXES]
        made[name] = [outputs.tolist(), *files]
    assert made["cpu"] == made["there"]
