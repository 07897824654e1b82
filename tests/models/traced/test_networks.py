"""Some networks of torchvision and timm by name; many more: `python -m tests.forty_networks`."""

from typing import Any

import pytest

from neumeta.models.traced.builder import builder
from tests.extras import TIMM, by_library
from tests.forty_networks import CASES, main, measured
from tests.models.traced.resizing import at, outputs, planned
from tests.small_networks import noise

SMALL = {
    "torchvision:squeezenet1_1": (25, 0),
    "timm:ghostnet_050": (25, 0),
    "timm:resnest14d": (15, 0),
    "timm:deit_tiny_patch16_224": (24, 12),
}


@pytest.mark.parametrize("name", by_library(SMALL))
def test_a_network_of_a_library(name: str) -> None:
    """Traced, built, saved, exported, trained, and no other function than with zeros."""
    row = measured(next(case for case in CASES if case.name == name))
    assert (row["failed"], row["error"]) == ("", "")
    assert (row["groups"], row["heads"]) == SMALL[name]
    assert float(row["zeros_error"]) < 1e-4 and float(row["onnx_error"]) < 1e-3
    assert row["params_0.5_streams"] <= row["params_0.5"] < row["params_0.77"] < row["params_1.0"]


@TIMM
def test_a_network_of_timm_knows_its_features() -> None:
    """So that it can be given another classifier."""
    network: Any = builder("timm:resnet10t", {"num_classes": 3})()
    made: Any = at(network, planned(network, noise(2, 3, 32, 32)), 0.5)
    assert (network.num_features, made.num_features, made.head_hidden_size) == (512, 256, 256)
    made.reset_classifier(5)
    assert outputs(made, noise(2, 3, 32, 32)).shape == (2, 5)


def test_there_are_forty_different_ones() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 40


def test_a_wrong_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["torchvision:resnet19"])
    assert "'torchvision:resnet19' is none of torchvision:resnet18, " in capsys.readouterr().err
