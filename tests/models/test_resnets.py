"""The residual families: published sizes, parts, folding, hidden widths."""

from typing import Any

import pytest
import torch

from neumeta.core.errors import UserError
from neumeta.models.cost import count_params
from neumeta.models.family import Family
from neumeta.models.fold import fold_batch_norms
from neumeta.models.parameters import parameters_of
from neumeta.models.parts import apply_part
from neumeta.models.registry import make_family
from neumeta.training.features import trunk_part
from tests.toy import at

SPEC = {"image_shape": [3, 32, 32], "classes": [str(digit) for digit in range(10)]}
SCOPES = ("last_block", "last_stage", "all_blocks")


def cifar(depth: int = 20, scope: str = "last_block") -> Family:
    settings: dict[str, Any] = {"name": "cifar_resnet", "depth": depth, "scope": scope}
    return make_family({**settings, "base_width": 64, "min_width": 1, "max_width": 64}, SPEC)


def resnet18(scope: str = "last_block") -> Family:
    settings = {"name": "resnet18", "scope": scope}
    return make_family({**settings, "base_width": 512, "min_width": 8, "max_width": 512}, SPEC)


def randomise_norms(network: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                assert tensor is not None
                tensor.data.uniform_(0.5, 1.5, generator=generator)


@pytest.mark.parametrize(
    ("depth", "params"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)]
)
def test_sizes_of_the_published_networks(depth: int, params: int) -> None:
    """He et al. 2016, table 6: 0.27, 0.46, 0.66 and 0.85 million."""
    assert count_params(cifar(depth).build(at(64), norm=True)) == params


@pytest.mark.parametrize(
    ("scope", "tensors", "share"), [("last_block", 4, 32), ("last_stage", 12, 32)]
)
def test_scopes_generate_their_blocks_only(scope: str, tensors: int, share: int) -> None:
    family = cifar(scope=scope)
    assert len(family.generated) == tensors
    assert family.shapes(at(share))["layer3.2.conv1.weight"] == (32, 64, 3, 3)
    assert family.shapes(at(share))["layer2.0.conv1.weight"] == (32, 16, 3, 3)
    assert all(name.startswith("layer3") and "conv" in name for name in family.generated)


def test_all_blocks_follow_one_ratio_and_streams_stay() -> None:
    shapes = cifar(scope="all_blocks").shapes(at(24))
    assert shapes["layer1.0.conv1.weight"] == (6, 16, 3, 3)
    assert shapes["layer2.0.conv1.weight"] == (12, 16, 3, 3)
    assert shapes["layer3.1.conv2.weight"] == (64, 24, 3, 3)
    assert cifar(scope="all_blocks").shapes(at(1))["layer1.2.conv2.weight"] == (16, 1, 3, 3)


def test_the_last_block_of_resnet20_counts_as_published() -> None:
    family = cifar()
    shapes = family.shapes(at(64))
    made = sum(torch.Size(shapes[name]).numel() for name in family.generated)
    assert made == 73_856


@pytest.mark.parametrize("make", [cifar, resnet18])
@pytest.mark.parametrize("scope", SCOPES)
def test_folding_keeps_function_and_names(make: Any, scope: str) -> None:
    family: Family = make(scope=scope)
    width = family.base["width"] // 2
    network = family.initialised(at(width), seed=1)
    randomise_norms(network)
    folded = fold_batch_norms(network)
    assert {n: tuple(v.shape) for n, v in folded.named_parameters()} == family.shapes(at(width))
    inputs = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = network(inputs)
        weights = parameters_of(folded)
        have = apply_part(family.skeleton(at(width)), weights, inputs)
        assert (have - wanted).abs().max() <= 1e-4 * wanted.abs().max()
        assert wanted.std() > 0
        if family.has_trunk:
            maps = apply_part(family.skeleton(at(width)), weights, inputs, "trunk")
            again = apply_part(family.skeleton(at(width)), weights, maps, "tail")
            torch.testing.assert_close(again, have)


def test_trunk_holds_nothing_that_morphs() -> None:
    for scope in ("last_block", "last_stage"):
        family = cifar(scope=scope)
        base = parameters_of(fold_batch_norms(family.initialised(at(64), seed=0)))
        inputs = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        changed = {n: v + 1 if n in family.generated else v for n, v in base.items()}
        with torch.no_grad():
            first, second = (
                apply_part(family.skeleton(at(64)), weights, inputs, "trunk")
                for weights in (base, changed)
            )
            assert torch.equal(first, second)
            assert not torch.equal(
                *(apply_part(family.skeleton(at(64)), w, first, "tail") for w in (base, changed))
            )
        assert trunk_part(family) == "tail"
    assert trunk_part(cifar(scope="all_blocks")) == "whole"


def test_option_a_shortcut_by_hand() -> None:
    """With dead convolutions a block is relu(shortcut): every second pixel, zeros around."""
    network = cifar().build(at(64))
    block = network.get_submodule("layer2.0")
    for value in block.parameters():
        value.data.zero_()
    maps = torch.rand(1, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    out = block(maps)
    assert out.shape == (1, 32, 2, 2)
    assert torch.equal(out[:, 8:24], maps[:, :, ::2, ::2])
    assert not out[:, :8].any() and not out[:, 24:].any()


def test_faults_are_one_line() -> None:
    with pytest.raises(UserError, match="3 channels"):
        make_family(resnet18().settings, {**SPEC, "image_shape": [1, 32, 32]})
    with pytest.raises(UserError, match="8 x 8 or more"):
        make_family(cifar().settings, {**SPEC, "image_shape": [3, 4, 4]})
