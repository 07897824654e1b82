"""`neumeta shrink` on files of users: what is written can be read again, mistakes cost nothing."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import neumeta
from neumeta.__main__ import main
from neumeta.core.errors import UserError
from neumeta.models.cifar_resnet import CifarResNet
from neumeta.models.lenet import LeNet
from neumeta.models.shrink.file import read_shrunk
from tests.own_network import own_in_colour

CIFAR = "cifar_resnet20"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures of two sizes, some of them in folders."""
    folder = tmp_path / "pictures"
    (folder / "deep" / "deeper").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (40 + number % 2, 36, 3), dtype=np.uint8)
        place = folder / "deep" / "deeper" if number % 3 else folder
        Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def write(path: Path, network: nn.Module) -> Path:
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = CifarResNet([16] * 3 + [32] * 3 + [64] * 3, in_channels=3, classes=10, norm=True)
    return write(tmp_path / "base.safetensors", network)


def test_both_formats(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, graph = tmp_path / "small.safetensors", tmp_path / "small.onnx"
    before = checkpoint.read_bytes()
    command = ["shrink", str(checkpoint), "--arch", CIFAR, "--images", str(pictures)]
    command += ["--width", "0.5", "--widths", "layer3.*=0.75", "--out", str(out), str(graph)]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "layer3.0.conv1: 64 -> 48 channels, merged into layer3.0.conv2" in told
    assert "layer1.0.conv1: 16 -> 8 channels" in told
    assert "parameters: 269,722 ->" in told and "MACs: 40," in told
    assert "12 pictures, mean 0.485 0.456 0.406" in told
    network, header = read_shrunk(out)
    assert network.get_submodule("layer3.2.conv1").weight.shape == (48, 64, 3, 3)
    assert header["arch"] == CIFAR and header["sizes"]["layer2.1.conv1"] == 16
    images = torch.randn(3, 3, 32, 32)
    session = onnxruntime.InferenceSession(graph)
    (found,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        assert np.allclose(found, network(images).numpy(), atol=1e-4)
    assert {"arch", "mean", "sizes"} <= set(session.get_modelmeta().custom_metadata_map)
    assert checkpoint.read_bytes() == before
    assert main(command) == 0  # its own files may be replaced


def test_torchvision(pictures: Path, tmp_path: Path) -> None:
    from neumeta.data.torchvision_door import models

    torch.manual_seed(0)
    source = write(tmp_path / "in.safetensors", models.squeezenet1_1(num_classes=4))
    out = tmp_path / "out.safetensors"
    command = ["shrink", str(source), "--arch", "squeezenet1_1", "--images", str(pictures)]
    command += ["--width", "0.5", "--size", "64", "--no-refit", "--layers", "features.3*"]
    assert main([*command, "--out", str(out)]) == 0
    network, header = read_shrunk(out)
    assert header["sizes"] and all(name.startswith("features.3") for name in header["sizes"])
    with torch.no_grad():
        assert network(torch.randn(2, 3, 64, 64)).shape == (2, 4)


def test_a_network_of_ones_own(pictures: Path, tmp_path: Path) -> None:
    """Its builder is run for a file only by whoever names it."""
    build = "tests.own_network:own_in_colour"
    base, out = write(tmp_path / "own.safetensors", own_in_colour()), tmp_path / "half.safetensors"
    command = ["shrink", str(base), "--arch", build, "--images", str(pictures), "--size", "16"]
    assert main([*command, "--width", "0.5", "--out", str(out)]) == 0
    with pytest.raises(UserError, match="code that is run only if you name it"):
        neumeta.load(out)
    network = neumeta.load(out, network=build)
    assert network.block.a.out_channels == network.hidden.out_features == 4
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 3)


def test_same_seed_same_bytes(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path in files:
        command = ["shrink", str(checkpoint), "--arch", CIFAR, "--images", str(pictures)]
        assert main([*command, "--width", "0.5", "--count", "8", "--out", str(path)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--width", "0"], "above 0"),
        (["--width", "nan"], "above 0"),
        (["--width", "2"], "only shrink"),
        ([], "--width is missing"),
        (["--widths", "layer3=x"], "must be PATTERN=SHARE"),
        (["--widths", "nothing=0.5"], "no group"),
        (["--width", "0.5", "--out", "small.pt"], "unknown format"),
        (["--width", "0.5", "--arch", "resnet0"], "'resnet0' is unknown"),
        (["--width", "0.5", "--arch", "lenet"], "tensor 'conv1.bias' is missing"),
        (["--width", "0.5", "--images", "nowhere"], "no such folder"),
        (["--width", "0.5", "--images", "."], "holds no images"),
        (["--width", "0.5", "--mean", "0.5"], "--mean has 1 numbers; must be 3"),
        (["--width", "0.5", "--std", "0", "1", "1"], "must be above 0"),
        (["--width", "0.5", "--count", "0"], "--count is 0"),
        (["--width", "0.5", "--layers", "head*"], "fits no group of this network"),
    ],
)
def test_mistakes(
    flags: list[str],
    words: str,
    checkpoint: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    command = ["shrink", str(checkpoint), "--arch", CIFAR, "--images", str(pictures)]
    command += ["--out", "small.safetensors", *flags]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert words in error and len(error.strip().splitlines()) == 1
    assert not list((tmp_path / "empty").iterdir())


def test_gray_networks(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.safetensors", LeNet(16, in_channels=1, classes=3, head="pooled"))
    command = ["shrink", str(source), "--arch", "lenet", "--width", "0.5", "--images"]
    assert main([*command, str(pictures), "--out", str(tmp_path / "out.onnx")]) == 1
    assert "is in colour; the network takes gray images" in capsys.readouterr().err
    for file in pictures.rglob("*.png"):
        Image.open(file).convert("L").save(file)
    out = tmp_path / "out.safetensors"
    assert main([*command, str(pictures), "--out", str(out)]) == 0
    assert "mean 0, std 1" in capsys.readouterr().out
    assert read_shrunk(out)[1]["image_shape"] == [1, 28, 28]


def test_a_file_of_another_kind_is_kept(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(checkpoint.read_bytes())
    command = ["shrink", str(checkpoint), "--arch", CIFAR, "--images", str(pictures)]
    for out in (other, checkpoint):
        assert main([*command, "--width", "0.5", "--out", str(out)]) == 1
    assert other.read_bytes() == checkpoint.read_bytes()
