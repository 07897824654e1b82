"""From a network that a program holds to one file of all widths."""

import copy
import hashlib
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import neumeta
from neumeta.core.errors import UserError
from neumeta.methods.metamorphosis import trainer as training
from tests.own_network import OwnNetwork, learnt, own_network
from tests.toy import toy_dataset

BUILD = "tests.own_network:own_network"
STEPS = 24


def shortened(section: dict[str, Any]) -> dict[str, Any]:
    """A recipe of seconds."""
    section["network"] |= {"layers": 3, "hidden": 32}
    section["warm_start"] |= {"steps": 200}
    section["task"] |= {"batch_size": 32}
    return section


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    train = toy_dataset().split("train")
    return train.inputs, train.targets


@pytest.fixture(scope="module")
def network(data: tuple[Tensor, Tensor]) -> nn.Module:
    torch.manual_seed(0)
    return learnt(own_network(), *data)


def hash_of(network: nn.Module) -> str:
    state = b"".join(value.numpy().tobytes() for value in network.state_dict().values())
    return hashlib.sha256(state).hexdigest()


def made(network: nn.Module, images: Any, **settings: Any) -> Any:
    settings = {"steps": STEPS, "change": shortened, **settings}
    return neumeta.metamorphose(network, images, **settings)


def test_one_file_gives_every_width(
    network: nn.Module, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    before, out = hash_of(network), tmp_path / "own.safetensors"
    loader = DataLoader(TensorDataset(*data), batch_size=10)
    morph = made(network, loader, out=out)
    assert hash_of(network) == before
    narrow: Any = morph.sample(0.63)
    assert type(narrow) is OwnNetwork
    assert narrow.block.a.out_channels == narrow.hidden.out_features == 5
    assert narrow(data[0]).shape == (len(data[0]), 3)
    agree = (morph.sample(1.0)(data[0]).argmax(1) == network(data[0]).argmax(1)).float().mean()
    assert agree > 0.8

    opened: Any = neumeta.load(out, network=own_network())
    for name, value in opened.sample(0.63).state_dict().items():
        assert torch.equal(value, narrow.state_dict()[name]), name
    by_builder: Any = neumeta.load(out, network=BUILD)
    assert torch.equal(by_builder.sample(0.63)(data[0]), narrow(data[0]))
    with pytest.raises(UserError, match="its network is somebody's own, a OwnNetwork"):
        neumeta.load(out)

    again = tmp_path / "again.safetensors"
    opened.save(again)
    assert again.read_bytes() == out.read_bytes()
    opened.export(tmp_path / "narrow.safetensors", 0.63)
    alone: Any = neumeta.load(tmp_path / "narrow.safetensors", network=own_network())
    assert torch.equal(alone(data[0]), narrow(data[0]))


def test_a_running_network_switches_its_width(
    network: nn.Module, data: tuple[Tensor, Tensor]
) -> None:
    morph = made(network, data[0])
    running: Any = morph.sample(1.0)
    part = running.block
    morph.switch(running, 0.5)
    assert running.block is part and part.a.out_channels == 4
    assert torch.equal(running(data[0]), morph.sample(0.5)(data[0]))


def test_onnx_takes_raw_pixels_with_the_normalisation_inside(
    network: nn.Module, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    mean, std = [0.5], [0.25]
    normalised = ((data[0] - data[0].min()) / (data[0].max() - data[0].min()) - 0.5) / 0.25
    morph = made(network, normalised, mean=mean, std=std)
    path = tmp_path / "narrow.onnx"
    morph.export(path, 0.5, raw=True, opset=21)
    session = onnxruntime.InferenceSession(path.read_bytes())
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type) == ("images", "tensor(uint8)")
    pixels = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    (outputs,) = session.run(None, {"images": pixels.numpy()})
    expected = morph.sample(0.5)(morph.preprocess(pixels)).detach()
    torch.testing.assert_close(torch.from_numpy(outputs), expected, rtol=1e-4, atol=1e-4)
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["preprocessing"] == "inside" and facts["pixel_range"] == "[0, 255]"
    with pytest.raises(UserError, match="opset is 5; must be 18 to 25"):
        morph.export(path, 0.5, opset=5)


def test_a_killed_training_goes_on_to_the_same_bytes(
    network: nn.Module,
    data: tuple[Tensor, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = made(network, data[0], out=tmp_path / "whole.safetensors")
    plain = training.Trainer._task_terms
    calls: list[int] = []

    def dying(self: Any, *args: Any) -> Any:
        calls.append(1)
        if len(calls) == STEPS // 2:
            raise KeyboardInterrupt
        return plain(self, *args)

    kept = tmp_path / "kept"
    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "_task_terms", dying)
        with pytest.raises(KeyboardInterrupt):
            made(network, data[0], resume=kept)
    assert list(kept.rglob("*.safetensors"))
    seen: list[int] = []

    def counting(self: Any, *args: Any) -> Any:
        seen.append(1)
        return plain(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "_task_terms", counting)
        made(network, data[0], resume=kept, out=tmp_path / "resumed.safetensors")
    assert len(seen) < STEPS
    resumed = (tmp_path / "resumed.safetensors").read_bytes()
    assert resumed == (tmp_path / "whole.safetensors").read_bytes()
    assert whole.header["seed"] == 0


def test_a_network_is_called_by_a_function(data: tuple[Tensor, Tensor]) -> None:
    class Keyed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner: Any = own_network()

        def forward(self, *, pixels: Tensor) -> dict[str, Tensor]:
            return {"logits": self.inner(pixels)}

    keyed = Keyed()
    batches = [{"pixels": some} for some in data[0].split(16)]
    morph = made(keyed, batches, call=lambda network, batch: network(**batch)["logits"])
    narrow: Any = morph.sample(0.5)
    assert type(narrow) is Keyed and narrow.inner.block.a.out_channels == 4
    assert narrow(pixels=data[0])["logits"].shape == (len(data[0]), 3)
    morph.switch(narrow, 1.0)
    assert narrow.inner.block.a.out_channels == 8


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"widths": (0.5, 0.9)}, "the largest of them 1.0"),
        ({"widths": (0, 1)}, "shares above 0"),
        ({"widths": "all"}, "must be shares"),
        ({"scope": "layer7"}, "fits no group"),
        ({"device": "tpu"}, "must be auto, cpu, cuda"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"multiple": 0}, "multiple is 0"),
        ({"change": lambda section: {**section, "stepps": 3}}, "stepps: unknown key"),
        ({"out": "narrow.pt"}, "must end in .safetensors"),
        ({"classes": ["a", "b"]}, "returns 3 numbers for an image, but there are 2 classes"),
    ],
)
def test_wrong_settings_are_one_line(
    network: nn.Module, data: tuple[Tensor, Tensor], settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(UserError, match=text):
        made(network, data[0], **settings)


def test_what_would_be_written_over_is_refused_before_the_training(
    network: nn.Module,
    data: tuple[Tensor, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_text("mine")
    monkeypatch.setattr(training.Trainer, "run", lambda *args: pytest.fail("was trained"))
    with pytest.raises(UserError, match="is there, and is not a checkpoint"):
        made(network, data[0], out=other)
    with pytest.raises(UserError, match="cannot write"):
        made(network, data[0], resume=other)
    assert other.read_text() == "mine"


def test_a_network_of_half_precision_is_taken_in_float32(
    network: nn.Module, data: tuple[Tensor, Tensor]
) -> None:
    narrow: Any = made(copy.deepcopy(network).half(), data[0]).sample(0.5)
    assert {value.dtype for value in narrow.parameters()} == {torch.float32}
    assert narrow(data[0]).shape == (len(data[0]), 3)


def test_images_that_the_network_does_not_take_are_one_line(network: nn.Module) -> None:
    with pytest.raises(UserError, match=r"does not take images of shape \(3, 8, 8\)"):
        made(network, torch.randn(20, 3, 8, 8))


def test_what_is_no_classifier_is_refused(data: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(UserError, match="one number for each class"):
        made(nn.Conv2d(1, 2, 3), data[0])
    name: Any = "resnet18"
    with pytest.raises(UserError, match="network is a str"):
        neumeta.metamorphose(name, data[0])
    labels = torch.full((len(data[0]),), 7)
    with pytest.raises(UserError, match="classes of images must be 0 to 2"):
        made(own_network(), [(data[0], labels)])
