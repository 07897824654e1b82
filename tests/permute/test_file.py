"""`neumeta permute` on files of users: any origin, any architecture, nothing lost on a mistake."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from neumeta.__main__ import main
from neumeta.core.errors import UserError
from neumeta.data.torchvision_door import models
from neumeta.models.architectures import architectures, build_for
from neumeta.models.cifar_resnet import CifarResNet
from neumeta.models.weights_file import parse_weights
from neumeta.tracing.arrangement import Arrangement


def resnet() -> nn.Module:
    torch.manual_seed(0)
    network = CifarResNet([4] * 3 + [6] * 3 + [8] * 3, in_channels=3, classes=5, norm=True).eval()
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the public CIFAR checkpoints are: prefixed names under `state_dict`, no counters."""
    state = {
        f"module.{name}": value
        for name, value in resnet().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    path = tmp_path_factory.mktemp("weights") / "net.th"
    torch.save({"state_dict": state, "epoch": 3}, path)
    return path


@pytest.mark.parametrize("fold", [False, True])
def test_a_checkpoint_of_a_resnet(
    checkpoint: Path, fold: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report, orders = (tmp_path / n for n in ("out.safetensors", "out.json", "o.safetensors"))
    command = ["permute", str(checkpoint), "--arch", "cifar_resnet20", "--out", str(out)]
    command += ["--json", str(report), "--orders", str(orders), *(["--fold"] if fold else [])]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "12 groups, at most" in shown.out and not shown.err
    facts = json.loads(report.read_text())
    assert facts["tv_after"] < facts["tv_before"]
    assert facts["tensors"] == (40 if fold else 59)
    assert facts["tv_before_per_tensor"] == pytest.approx(facts["tv_before"] / facts["tensors"])
    assert len(facts["groups"]) == 12
    for group in facts["groups"]:
        assert {"name", "channels", "length_before", "length_after", "lower_bound", "gap"} <= set(
            group
        )
        assert sorted(group["order"]) == list(range(group["channels"]))
        assert group["lower_bound"] <= group["length_after"] * (1 + 1e-9)
        assert group["length_after"] <= group["length_before"] * (1 + 1e-9)
        assert 0 <= group["gap"] < 0.01
    reasons = {(pinned["tensor"], pinned["reason"]) for pinned in facts["pinned"]}
    assert ("linear.bias", "is an output of the network") in reasons

    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, moved = (
        build_for("cifar_resnet20", load_file(out), "out")[0]
        if index
        else build_for("cifar_resnet20", resnet().state_dict(), "memory", fold=fold)[0]
        for index in range(2)
    )
    with torch.no_grad():
        expected = resnet()(images)
        torch.testing.assert_close(moved(images), expected, rtol=1e-4, atol=1e-5)
    back = Arrangement.load(orders).inverse().apply(load_file(out))
    assert all(torch.equal(back[name], value) for name, value in plain.state_dict().items())

    first = [path.read_bytes() for path in (out, report, orders)]
    assert main(command) == 0
    assert [path.read_bytes() for path in (out, report, orders)] == first


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1"])
def test_networks_of_torchvision(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = models.get_model(name, weights=None, num_classes=7).eval()
    save_file(source.state_dict(), tmp_path / "in.safetensors")
    out = tmp_path / "out.safetensors"
    command = ["permute", str(tmp_path / "in.safetensors"), "--arch", name, "--solver", "random"]
    assert main([*command, "--out", str(out)]) == 0
    network, example = build_for(name, load_file(out), "out")
    with torch.no_grad():
        torch.testing.assert_close(network(example), source(example), rtol=1e-4, atol=1e-4)


def test_names_of_architectures() -> None:
    assert {"lenet", "cifar_resnet20", "resnet50", "swin_t", "vit_b_16"} <= set(architectures())


def mistakes(checkpoint: Path) -> list[tuple[list[str], str]]:
    resnet20 = ["--arch", "cifar_resnet20"]
    return [
        ([str(checkpoint), "--arch", "resnet_18"], "is unknown; allowed are lenet"),
        ([str(checkpoint), "--arch", "resnet_18"], "did you mean 'resnet18'?"),
        ([str(checkpoint), "--arch", "cifar_resnet56"], "'layer1.3.conv1.weight' is missing"),
        (
            [str(checkpoint), "--arch", "resnet18"],
            "holds no resnet18: tensor 'fc.weight' is missing",
        ),
        ([str(checkpoint) + "x", *resnet20], "cannot read the weights: No such file"),
        ([__file__, *resnet20], "neither safetensors nor a PyTorch state dict of plain tensors"),
        ([str(checkpoint), *resnet20, "--json", "{out}"], "must be different files"),
        ([str(checkpoint), *resnet20, "--json", "/proc/none/x.json"], "/proc/none"),
        ([str(checkpoint), *resnet20, "--orders", "o.pt"], "o.pt: must end in .safetensors"),
    ]


@pytest.mark.parametrize("number", range(9))
def test_a_mistake_is_one_line_and_writes_nothing(
    number: int, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, text = mistakes(checkpoint)[number]
    out = tmp_path / "out.safetensors"
    arguments = [str(out) if argument == "{out}" else argument for argument in arguments]
    assert main(["permute", *arguments, "--out", str(out)]) == 1
    shown = capsys.readouterr()
    assert text in shown.err and shown.err.count("\n") == 1 and not shown.out
    assert not list(tmp_path.iterdir())


def test_other_formats_and_seeds_below_zero_are_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["permute", str(checkpoint), "--arch", "cifar_resnet20", "--out"]
    for report in ([], ["--json", str(tmp_path / "net.json")]):
        assert main([*command, str(tmp_path / "net.pt"), *report]) == 1
        assert "net.pt: must end in .safetensors" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([*command, str(tmp_path / "net.safetensors"), "--seed", "-1"])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and error.count("\n") == 1
    assert "--seed: must be a whole number, 0 or more, not '-1'" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"hello world\n", b"", b"\x80\x02}q\x00", b"PK\x03\x04 no"])
def test_files_that_are_no_weights(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither safetensors nor"):
        parse_weights(content, "here")
