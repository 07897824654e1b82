"""Some networks of torchvision and timm by name; many more: `python -m tests.forty_networks`."""

import pytest

from tests.forty_networks import CASES, main, measured

SMALL = {
    "torchvision:squeezenet1_1": (25, 0),
    "timm:ghostnet_050": (25, 0),
    "timm:resnest14d": (15, 0),
    "timm:deit_tiny_patch16_224": (24, 12),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_network_of_a_library(name: str) -> None:
    """Traced, built, saved, exported, trained, and no other function than with zeros."""
    row = measured(next(case for case in CASES if case.name == name))
    assert (row["failed"], row["error"]) == ("", "")
    assert (row["groups"], row["heads"]) == SMALL[name]
    assert float(row["zeros_error"]) < 1e-4 and float(row["onnx_error"]) < 1e-3
    assert row["params_0.5_streams"] <= row["params_0.5"] < row["params_0.77"] < row["params_1.0"]


def test_there_are_forty_different_ones() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 40


def test_a_wrong_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["torchvision:resnet19"])
    assert "'torchvision:resnet19' is none of torchvision:resnet18, " in capsys.readouterr().err
