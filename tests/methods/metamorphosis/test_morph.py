"""Use from Python and from the shell, on the INR of the toy pipeline."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import neumeta
from neumeta.__main__ import main
from neumeta.core.checkpoint import read_header
from neumeta.core.errors import UserError
from neumeta.core.files import sha256_of
from neumeta.data.dataset import read_dataset
from neumeta.measure.results import read_results
from neumeta.models.axes import Point
from neumeta.models.network_file import read_network
from neumeta.models.source import Card, WeightSource
from tests.toy import at

EXPERIMENT = "data/experiments/digits-lenet"


@pytest.fixture
def inr(finished: Path) -> Path:
    return finished / EXPERIMENT / "inr" / "seed-0.safetensors"


def test_sample_gives_an_ordinary_network_of_any_width(inr: Path, finished: Path) -> None:
    morph = neumeta.load(inr)
    dataset = read_dataset(finished / "data/datasets/digits.safetensors")
    images = dataset.images["test"][:5]
    inputs = morph.preprocess(images)
    assert torch.equal(inputs, dataset.split("test").inputs[:5])
    for width in range(2, 7):
        network = morph.sample(width=width)
        assert isinstance(network, nn.Module)
        assert not network.training
        assert network(inputs).shape == (5, 10)
        shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
        assert shapes == morph.family.shapes(at(width))


def test_sampling_repeats_and_its_parameters_matter(inr: Path) -> None:
    morph = neumeta.load(inr)

    def first(**settings: object) -> torch.Tensor:
        return next(morph.sample(3, **settings).parameters())

    assert torch.equal(first(), first())
    assert torch.equal(first(draws=1), first(draws=5, noise=0.0))
    assert not torch.equal(first(draws=1), first(draws=5))
    seeded = first(generator=torch.Generator().manual_seed(5))
    assert not torch.equal(seeded, first())


def made_by(source: WeightSource, point: Point) -> Mapping[str, torch.Tensor]:
    return source.weights(point, generator=torch.Generator().manual_seed(0))


def test_it_is_a_source_of_weights_with_draws_and_noise_of_its_own(
    inr: Path, finished: Path
) -> None:
    morph = neumeta.load(inr)
    assert isinstance(morph, neumeta.MorphableNetwork)
    exact, point = replace(morph, draws=1), morph.family.at(width=3)
    for source, how in (
        (morph, {}),
        (exact, {"draws": 1}),
        (replace(morph, noise=0.0), {"draws": 1}),
    ):
        made = made_by(source, point)
        for name, value in morph.weights(3, **how).items():  # type: ignore[arg-type]
            assert torch.equal(made[name], value)
    assert not torch.equal(made_by(morph, point)["conv1.bias"], made_by(exact, point)["conv1.bias"])
    for name, value in morph.sample(at=point).named_parameters():
        assert torch.equal(value, morph.weights(width=3)[name])
    header = read_header(inr)
    assert morph.card == Card(
        kind="inr",
        seed=0,
        stored_bytes=sum(value.nbytes for value in load_file(inr).values()),
        parents={
            "base": sha256_of(finished / EXPERIMENT / "permuted.safetensors"),
            "data": header["data_sha256"],
        },
        trained=(at(3), at(4)),
    )


def test_bad_arguments_are_one_line(inr: Path) -> None:
    morph = neumeta.load(inr)
    with pytest.raises(UserError, match=r"width 9 is outside the lenet family; use 2\.\.6"):
        morph.sample(9)
    with pytest.raises(UserError, match="draws is 0; must be 1 or more"):
        morph.sample(3, draws=0)
    with pytest.raises(UserError, match="noise is -1"):
        morph.sample(3, noise=-1.0)
    for wrong in ({}, {"width": 3, "at": at(3)}):
        with pytest.raises(UserError, match="name one network, by its width or by a point"):
            morph.weights(**wrong)
    with pytest.raises(UserError, match="the axes of the lenet family are width"):
        morph.sample(at=Point.of({"depth": 3}))


def test_the_shell_samples_the_same_network(
    inr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, graph = tmp_path / "net.safetensors", tmp_path / "net.onnx"
    assert main(["sample", str(inr), "--width", "3", "--out", str(out), str(graph)]) == 0
    assert capsys.readouterr().out.split() == [str(out), str(graph)]
    weights, _, header = read_network(out)
    network = neumeta.load(inr).sample(3)
    for name, value in network.named_parameters():
        assert torch.equal(weights[name], value)
    assert header["width"] == 3
    assert header["data_sha256"] == read_header(inr)["data_sha256"]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for batch in (1, 7):
        inputs = torch.randn(batch, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        (outputs,) = session.run(None, {"images": inputs.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(outputs, network(inputs).numpy(), rtol=1e-3, atol=1e-4)


def test_a_width_outside_the_trained_ones_is_named(
    inr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "net.safetensors")
    assert main(["sample", str(inr), "--width", "3", "--out", out]) == 0
    assert capsys.readouterr().err == ""
    assert main(["sample", str(inr), "--width", "2", "--out", out]) == 0
    assert "training built widths 3 to 4; width 2 lies outside" in capsys.readouterr().err


def test_sampling_leaves_the_global_random_state_alone(inr: Path) -> None:
    before = torch.get_rng_state()
    neumeta.load(inr).sample(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_info_describes_every_kind(
    inr: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(inr)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "inr"
    assert (facts["trained_widths"], facts["possible_widths"]) == ("3..4", "2..6")
    assert facts["base_params"] == 250 * 16 + 56 * 4 + 10
    for name in ("base.safetensors", "permuted.safetensors"):
        assert main(["info", str(finished / EXPERIMENT / name)]) == 0
        assert json.loads(capsys.readouterr().out)["width"] == 4
    assert main(["info", str(finished / "data/datasets/digits.safetensors")]) == 0
    assert json.loads(capsys.readouterr().out)["sizes"]["test"] == 540


def test_evaluate_prints_the_figure_of_the_sweep(
    inr: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(finished / "data/datasets/digits.safetensors")
    command = ["evaluate", str(inr), "--width", "3", "4", "--dataset", data, "--draws", "3"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    table = read_results(finished / EXPERIMENT / "sweep.csv")
    swept = table[(table.method == "neumeta") & (table.seed == 0)].set_index("width")
    for line, width in zip(lines[1:], (3, 4), strict=True):
        shown = line.split()
        assert shown[0] == str(width)
        assert shown[1] == f"{float(swept['accuracy'].to_dict()[width]):.2%}"
