"""The table of bad input: one clear line each, non-zero exit, earlier results untouched."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from numpy.random import default_rng

from neumeta.core.checkpoint import read_checkpoint, write_checkpoint
from tests.stages.commands import command_of, module_of
from tests.together import Done, run_together
from tests.toy import ROOT, toy_params, write_toy_params

EXPERIMENT = "data/experiments/digits-lenet"
INR = f"{EXPERIMENT}/inr/seed-0.safetensors"
DATASET = "data/datasets/digits.safetensors"


def stage(name: str) -> list[str]:
    return ["-m", module_of(name), *command_of(name)]


def nothing(folder: Path) -> None:
    pass


def unknown_key(folder: Path) -> None:
    params = toy_params()
    params["digits-lenet"]["train"]["learning_rate"] = 1
    write_toy_params(folder, params)


def wrong_sha256(folder: Path) -> None:
    params = toy_params()
    path = f"{EXPERIMENT}/base.safetensors"
    section = {"source": "file", "path": path, "sha256": "0" * 64}
    params["digits-lenet"]["fetch"] = section
    write_toy_params(folder, params)


def missing_data_root(folder: Path) -> None:
    params = toy_params()
    section = {"source": "folder", "root": "nowhere", "val_fraction": 0.1, "split_seed": 0}
    params["data"]["digits"] = section
    write_toy_params(folder, params)


def truncated_inr(folder: Path) -> None:
    path = folder / INR
    path.write_bytes(path.read_bytes()[:1000])


def truncated_base(folder: Path) -> None:
    path = folder / EXPERIMENT / "permuted.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def inr_without(key: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        tensors, header = read_checkpoint(folder / INR)
        write_checkpoint(folder / INR, tensors, {k: v for k, v in header.items() if k != key})

    return spoil


def inr_of_another_form(folder: Path) -> None:
    tensors, header = read_checkpoint(folder / INR)
    write_checkpoint(folder / INR, tensors, header | {"inr": {"encoding": {}}})


def other_images(folder: Path) -> None:
    path = folder / "data/datasets/digits.safetensors"
    tensors, header = read_checkpoint(path)
    write_checkpoint(path, tensors, header | {"mean": [0.25]})


def altered_bytes(folder: Path) -> None:
    content = bytearray((folder / INR).read_bytes())
    random = default_rng(0)
    for place in random.integers(len(content) // 2, len(content), 1000):
        content[place] = random.integers(256)
    (folder / INR).write_bytes(content)


def edited_header(folder: Path) -> None:
    tensors, header = read_checkpoint(folder / INR)
    header["input"]["mean"] = "0.5"
    write_checkpoint(folder / INR, tensors, header)


def beyond_memory(folder: Path) -> None:
    params = toy_params()
    params["digits-lenet"]["train"]["network"]["hidden"] = 100_000_000
    write_toy_params(folder, params)


def infinite_rate(folder: Path) -> None:
    params = toy_params()
    params["digits-lenet"]["fetch"]["recipe"]["lr"] = float("inf")
    write_toy_params(folder, params)


def no_inr(folder: Path) -> None:
    shutil.rmtree(folder / EXPERIMENT / "inr")


def blocked_output(folder: Path) -> None:
    """A file stands where the output folder should be: unwritable for every user, root too."""
    (folder / "out").write_text("in the way")


@dataclass(frozen=True)
class Fault:
    command: list[str]
    spoil: Callable[[Path], None]
    expected: tuple[str, ...]
    status: int = 1


FAULTS = {
    "unknown key": Fault(
        stage("train"),
        unknown_key,
        ("params.yaml", "train.learning_rate", "unknown key", "allowed"),
    ),
    "wrong sha256": Fault(
        stage("fetch"), wrong_sha256, ("base.safetensors", "sha256 is", "must be")
    ),
    "missing data root": Fault(
        stage("data"), missing_data_root, ("nowhere", "no such folder", "NEUMETA_DATA_ROOT")
    ),
    "truncated INR": Fault(stage("sweep"), truncated_inr, ("seed-0.safetensors", "damaged")),
    "truncated base": Fault(stage("train"), truncated_base, ("permuted.safetensors", "damaged")),
    "INR without its noise": Fault(
        stage("sweep"), inr_without("noise"), ("seed-0.safetensors", "lacks 'noise'")
    ),
    "INR of another form": Fault(
        ["-m", "neumeta", "info", INR],
        inr_of_another_form,
        ("seed-0.safetensors", "no INR of this version"),
    ),
    **{
        f"other images for {name}": Fault(
            stage(name), other_images, ("digits.safetensors", "is not the data of this network")
        )
        for name in ("train", "sweep")
    },
    "no INR": Fault(stage("sweep"), no_inr, ("inr", "run the train stage")),
    "width out of family": Fault(
        ["-m", "neumeta", "sample", INR, "--width", "40", "--out", "x.safetensors"],
        nothing,
        ("width 40", "2..6"),
    ),
    "width is no number": Fault(
        ["-m", "neumeta", "sample", INR, "--width", "big", "--out", "x.onnx"],
        nothing,
        ("--width", "'big'"),
        status=2,
    ),
    "unknown format": Fault(
        ["-m", "neumeta", "sample", INR, "--width", "3", "--out", "x.pt"],
        nothing,
        ("x.pt", ".safetensors or .onnx"),
    ),
    "altered bytes": Fault(
        ["-m", "neumeta", "evaluate", INR, "--width", "3", "--dataset", DATASET],
        altered_bytes,
        ("seed-0.safetensors", "damaged: tensor"),
    ),
    "headers that are edited": Fault(
        ["-m", "neumeta", "info", INR],
        edited_header,
        ("seed-0.safetensors", "describes no family", "mean"),
    ),
    "sizes beyond all memory": Fault(
        ["-m", "neumeta", "check"], beyond_memory, ("params.yaml", "network.hidden", "4096")
    ),
    "a number without end": Fault(
        stage("fetch"), infinite_rate, ("params.yaml", "fetch.recipe.lr", "finite number")
    ),
    "truncated checkpoint": Fault(
        ["-m", "neumeta", "info", INR], truncated_inr, ("seed-0.safetensors", "damaged")
    ),
    "unwritable output": Fault(
        ["-m", "neumeta", "sample", INR, "--width", "3", "--out", "out/x.safetensors"],
        blocked_output,
        ("out/x.safetensors", "cannot write"),
    ),
    "unwritable stage output": Fault(
        [*stage("baselines")[:-4], "--out", "out/b.csv", "--record", "out/b.json"],
        blocked_output,
        ("out/b", "cannot write"),
    ),
    "other data": Fault(
        ["-m", "neumeta", "evaluate", INR, "--width", "3", "--dataset", INR],
        nothing,
        ("seed-0.safetensors", "must be 'dataset'"),
    ),
    "unknown experiment": Fault(
        ["-m", "neumeta", "use", "cifar"], nothing, ("'cifar' is not defined", "digits-lenet")
    ),
    "missing flag": Fault(
        ["-m", "neumeta.stages.metamorphosis.train"],
        nothing,
        ("--experiment", "required"),
        status=2,
    ),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@dataclass(frozen=True)
class Result:
    """How a command ended, and what lay in its folder before and after."""

    done: Done
    before: dict[str, bytes]
    after: dict[str, bytes]


@pytest.fixture(scope="module")
def results(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Every fault in a folder of its own, all in one process."""
    folders = {name: tmp_path_factory.mktemp("fault") / "work" for name in FAULTS}
    before = {}
    for name, fault in FAULTS.items():
        shutil.copytree(finished, folders[name])
        fault.spoil(folders[name])
        before[name] = contents(folders[name])
    commands = [(folders[name], fault.command[1:]) for name, fault in FAULTS.items()]
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = dict(zip(FAULTS, run_together(commands, environment), strict=True))
    return {name: Result(done[name], before[name], contents(folders[name])) for name in FAULTS}


@pytest.mark.parametrize("name", FAULTS)
def test_one_line_and_nothing_lost(name: str, results: dict[str, Result]) -> None:
    fault, result = FAULTS[name], results[name]
    lines = result.done.err.strip().splitlines()
    assert result.done.status == fault.status, result.done.err
    assert len(lines) == 1, result.done.err
    for part in fault.expected:
        assert part in lines[0]
    assert result.done.out == ""
    assert result.after == result.before


@pytest.mark.parametrize("name", ["missing flag", "unknown experiment"])
def test_a_process_of_its_own_ends_likewise(
    name: str, results: dict[str, Result], finished: Path
) -> None:
    """`python -m` as a user types it: the same status and line."""
    done = subprocess.run(
        [sys.executable, *FAULTS[name].command],
        cwd=finished,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert Done(done.returncode, done.stdout, done.stderr) == results[name].done
