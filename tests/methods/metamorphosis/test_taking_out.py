"""Networks taken out of an INR: read again, scored, scripted, and ONNX that says what it takes."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import neumeta
from neumeta.__main__ import main
from neumeta.core.checkpoint import read_checkpoint, read_header, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.files import sha256_of
from neumeta.data.dataset import read_dataset
from neumeta.models.registry import make_family
from neumeta.models.source import WeightSource
from tests.toy import at

EXPERIMENT = "data/experiments/digits-lenet"
DATASET = "data/datasets/digits.safetensors"


@pytest.fixture
def inr(finished: Path) -> Path:
    return finished / EXPERIMENT / "inr" / "seed-0.safetensors"


@pytest.fixture
def taken(inr: Path, tmp_path: Path) -> Path:
    out = tmp_path / "net.safetensors"
    assert main(["sample", str(inr), "--width", "3", "--out", str(out)]) == 0
    return out


def test_a_file_of_one_network_is_that_network(inr: Path, finished: Path, taken: Path) -> None:
    morph, stored = neumeta.load(inr), neumeta.load(taken)
    network = morph.sample(3)
    images = read_dataset(finished / DATASET).images["test"][:5]
    inputs = stored.preprocess(images)
    assert isinstance(stored, neumeta.StoredNetwork) and isinstance(stored, nn.Module)
    assert torch.equal(inputs, morph.preprocess(images))
    assert torch.equal(stored(inputs), network(inputs))
    for same in (stored.sample(), stored.sample(3), stored.sample(at=at(3))):
        assert same.state_dict().keys() == network.state_dict().keys()
        assert torch.equal(same(inputs), network(inputs))
    assert isinstance(stored, WeightSource)
    assert stored.card.parents["inr"] == sha256_of(inr) and stored.card.trained == (at(3),)
    assert stored.info()["params"] == sum(value.numel() for value in network.parameters())


def test_the_base_network_of_the_pipeline_is_read_likewise(finished: Path) -> None:
    base = neumeta.load(finished / EXPERIMENT / "base.safetensors")
    assert isinstance(base, neumeta.StoredNetwork) and base.at == at(4)
    with pytest.raises(UserError, match="holds a 'dataset' checkpoint; must be an 'inr', a"):
        neumeta.load(finished / DATASET)


def test_what_one_network_cannot_give_is_refused(taken: Path) -> None:
    stored = neumeta.load(taken)
    for ask in (stored.sample, stored.weights):
        with pytest.raises(UserError, match="holds one network, width 3, not width 4"):
            ask(4)
        with pytest.raises(UserError, match="whose draws were made; leave them out"):
            ask(3, draws=2)


def test_evaluate_scores_it_as_its_inr(
    inr: Path, finished: Path, taken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    data = ["--dataset", str(finished / DATASET)]
    assert main(["evaluate", str(inr), "--width", "3", *data]) == 0
    first = capsys.readouterr().out.splitlines()[1]
    for width in ([], ["--width", "3"]):
        assert main(["evaluate", str(taken), *width, *data]) == 0
        head, row = capsys.readouterr().out.splitlines()
        assert row == first and head.endswith("(test, n = 540)")
    for wrong, told in (
        (["--width", "4"], "holds one network, width 3, not width 4"),
        (["--draws", "4"], "--draws is for an INR"),
        (["--seed", "0"], "--seed is for an INR"),
    ):
        assert main(["evaluate", str(taken), *wrong, *data]) == 1
        assert told in capsys.readouterr().err
    assert main(["evaluate", str(inr), *data]) == 1
    assert "--width is missing; training built 3 to 4" in capsys.readouterr().err


def test_onnx_says_what_it_takes(inr: Path, taken: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    assert main(["sample", str(inr), "--width", "3", "--out", str(first)]) == 0
    assert main(["sample", str(taken), "--out", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()
    session = onnxruntime.InferenceSession(first, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    assert facts == {entry.key: entry.value for entry in onnx.load(first).metadata_props}
    spec: Any = read_header(inr)["input"]
    found = {key: json.loads(facts[key]) for key in ("mean", "std", "pixel_range", "classes")}
    assert found == {
        **{key: spec[key] for key in ("mean", "std", "classes")},
        "pixel_range": [0, 16],
    }
    assert json.loads(facts["image_shape"]) == [1, 8, 8]
    assert (facts["dataset"], facts["width"]) == ("digits", "3")
    # With these alone a program gets what the library gets.
    raw = np.random.default_rng(0).integers(0, 17, (4, 1, 8, 8), dtype=np.uint8)
    shape = (1, -1, 1, 1)
    mean, std = (np.float32(json.loads(facts[k])).reshape(shape) for k in ("mean", "std"))
    inputs = (raw.astype(np.float32) / json.loads(facts["pixel_range"])[1] - mean) / std
    (outputs,) = session.run(None, {"images": inputs})
    morph = neumeta.load(inr)
    with torch.no_grad():
        wanted = morph.sample(3)(morph.preprocess(torch.from_numpy(raw)))
    np.testing.assert_allclose(outputs, wanted.numpy(), rtol=1e-3, atol=1e-4)


FAMILIES: dict[str, dict[str, Any]] = {
    "lenet": {"name": "lenet", "head": "pooled", "base_width": 4, "min_width": 2, "max_width": 6},
    "corner": {"name": "lenet", "head": "corner", "base_width": 4, "min_width": 2, "max_width": 6},
    **{
        f"{name} {scope}": {
            **{"name": name, "scope": scope, "base_width": full, "min_width": 4},
            **{"max_width": full, **more},
        }
        for name, full, more in (("cifar_resnet", 64, {"depth": 20}), ("resnet18", 512, {}))
        for scope in ("last_block", "all_blocks")
    },
}


SCRIPTED = pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:DeprecationWarning")


@SCRIPTED
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("norm", [False, True])
def test_torch_scripts_every_family(name: str, norm: bool) -> None:
    spec = {
        **{"dataset": "d", "task": "classification", "classes": ["a", "b"], "pixel_max": 255},
        **{"image_shape": [3, 16, 16], "mean": [0.5] * 3, "std": [0.2] * 3},
    }
    family = make_family(FAMILIES[name], spec)
    network = family.initialised(family.at(width=5), seed=0, norm=norm)
    stream, inputs = io.BytesIO(), torch.randn(2, 3, 16, 16)
    torch.jit.save(torch.jit.script(network), stream)
    stream.seek(0)
    scripted = torch.jit.load(stream)
    with torch.no_grad():
        for batch in (1, 2):
            assert torch.allclose(scripted(inputs[:batch]), network(inputs[:batch]), atol=1e-6)
        if family.has_trunk:
            maps = network(inputs, part="trunk")
            assert torch.allclose(scripted(inputs, "trunk"), maps, atol=1e-6)
            assert torch.equal(network(maps, part="tail"), network(inputs))


@SCRIPTED
def test_torch_scripts_a_sampled_and_a_stored_network(inr: Path, taken: Path) -> None:
    inputs = torch.randn(2, 1, 8, 8)
    for network in (neumeta.load(inr).sample(3), neumeta.load(taken)):
        assert isinstance(network, nn.Module)
        assert torch.allclose(torch.jit.script(network)(inputs), network(inputs), atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"width": "3"}, "width is '3'; must be 1 or more, a whole number up to 4096"),
        ({"width": 3.0}, "width 12 is outside"),
        ({"width": True}, "width is True; must be"),
        ({"width": [3]}, r"width is \[3\]; must be"),
        ({"width": 10**30}, "must be 1 or more, a whole number up to 4096"),
        ({"at": 3}, "at is 3; must be a point"),
        ({"at": {"width": 3}}, "must be a point"),
        ({"width": 3, "draws": "4"}, "draws is '4'; must be 1 or more"),
        ({"width": 3, "draws": 2.5}, r"draws is 2\.5; must be 1 or more"),
        ({"width": 3, "draws": 10**9}, "draws is 1000000000; must be 1 or more.* up to 4096"),
        ({"width": 3, "noise": 1e30}, "noise is 1e.30; must be a number of 0 to 4 channels"),
        ({"width": 3, "noise": float("nan")}, "noise is nan; must be a number of 0 to 4"),
        ({"width": 3, "noise": "0.5"}, "noise is '0.5'; must be a number"),
        ({"width": 3, "generator": 5}, "generator is 5; must be a torch.Generator"),
    ],
)
def test_arguments_of_another_kind_are_one_line(
    asked: dict[str, Any], told: str, inr: Path
) -> None:
    morph: Any = neumeta.load(inr)
    for ask in (morph.sample, morph.weights):
        with pytest.raises(UserError, match=told):
            ask(**asked)
    assert torch.equal(
        morph.weights(np.int64(3))["conv1.bias"], morph.weights(torch.tensor(3))["conv1.bias"]
    )


def test_what_is_no_name_of_a_file_is_one_line(inr: Path) -> None:
    load: Any = neumeta.load
    for wrong, told in (
        (io.BytesIO(inr.read_bytes()), "named by a text or a path, not by BytesIO"),
        (None, "not by NoneType"),
        ("", "'' is no name of a file"),
    ):
        with pytest.raises(UserError, match=told):
            load(wrong)
    assert load(str(inr).encode()).info() == load(inr).info()
    with pytest.raises(UserError, match="gpu"):
        load(inr, "gpu")
    assert load(inr, "cpu").inr.device.type == "cpu"


def test_sample_destroys_nothing(
    inr: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trained INR once became a network of one width, with exit status 0."""
    own = tmp_path / "inr.safetensors"
    own.write_bytes(inr.read_bytes())
    base = tmp_path / "base.safetensors"
    base.write_bytes((finished / EXPERIMENT / "base.safetensors").read_bytes())
    (tmp_path / "mine.onnx").write_bytes(b"another model")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for out in ([own], [base], [tmp_path / "mine.onnx"], [tmp_path / "new.onnx", own]):
        command = ["sample", str(own), "--width", "3", "--out", *map(str, out)]
        assert main(command) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    new = str(tmp_path / "new.safetensors")
    for width in ("3", "4"):  # an earlier output may be replaced
        assert main(["sample", str(own), "--width", width, "--out", new]) == 0
        assert read_header(new)["width"] == int(width)


def test_edited_headers_are_one_line(taken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors, header = read_checkpoint(taken)
    for key, value in (("width", "3"), ("width", 99), ("input", {}), ("family", None)):
        taken.unlink()
        write_checkpoint(taken, tensors, {**header, key: value})
        assert main(["info", str(taken)]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and str(taken) in error, error
