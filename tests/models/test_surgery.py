"""Families of networks that somebody else builds."""

from typing import Any

import pytest
import torch
from torch import nn

from neumeta.core.errors import UserError
from neumeta.models.cost import count_macs
from neumeta.models.parameters import load_parameters, parameters_of
from neumeta.models.params import FamilyParams
from neumeta.models.registry import family_from_header, make_family
from neumeta.models.traced.norms import without_statistics
from tests.own_network import own_network

BUILD = "tests.own_network:own_network"
SPEC: dict[str, Any] = {
    "dataset": "toy",
    "task": "classification",
    "classes": ["a", "b", "c"],
    "image_shape": [1, 8, 8],
    "pixel_max": 16,
    "mean": [0.5],
    "std": [0.25],
}
SECTION = {"name": "traced", "build": BUILD, "base_width": 100, "min_width": 25, "max_width": 100}


def family(**changes: Any) -> Any:
    settings = FamilyParams.model_validate(SECTION | changes).settings()
    return make_family(settings, SPEC)


def test_inner_channels_follow_the_width_and_streams_stay() -> None:
    found = family()
    assert {group.name: len(group) for group in found.groups} == {"block.a": 8, "hidden": 8}
    for width, size in ((100, 8), (63, 5), (50, 4), (25, 2)):
        network = found.build(found.at(width=width))
        assert network.block.a.out_channels == network.block.d.groups == size
        assert network.block.b.in_channels == network.hidden.out_features == size
        assert network.stem.out_channels == network.norm.num_features == 4
        assert network(torch.randn(2, 1, 8, 8)).shape == (2, 3)
        assert found.sizes(found.at(width=width)) == {"block.a": size, "hidden": size}


def test_sizes_are_multiples_and_may_have_floors_of_their_own() -> None:
    assert family(multiple=4).sizes(family().at(width=60)) == {"block.a": 4, "hidden": 4}
    floors = family(widths={"hidden": 0.75})
    assert floors.sizes(floors.at(width=25)) == {"block.a": 2, "hidden": 6}
    assert floors.sizes(floors.at(width=100)) == {"block.a": 8, "hidden": 8}


def test_streams_change_where_that_is_asked_for() -> None:
    found = family(streams=True)
    network = found.build(found.at(width=50))
    assert network.stem.out_channels == network.norm.num_features == 2
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 3)


def test_the_base_without_statistics_is_the_same_function() -> None:
    network, inputs = own_network(), torch.randn(5, 1, 8, 8)
    bare = without_statistics(network)
    torch.testing.assert_close(bare(inputs), network(inputs))
    assert isinstance(bare.norm, nn.BatchNorm2d)  # follows no layer, so it stays, neutral
    assert bare.norm.running_mean is not None and not bare.norm.running_mean.any()
    assert network.norm.running_mean.any()  # type: ignore[union-attr, operator]


def test_a_layer_that_does_more_than_a_batch_norm_is_not_folded_away() -> None:
    class Activated(nn.BatchNorm2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return torch.relu(super().forward(input))

    network = nn.Sequential(nn.Conv2d(1, 4, 3), Activated(4)).eval()
    inputs = torch.randn(3, 1, 6, 6)
    torch.testing.assert_close(without_statistics(network)(inputs), network(inputs))


def test_generated_tensors_are_those_of_layers_with_a_channel_that_changes() -> None:
    found = family()
    names = set(parameters_of(found.build(found.base)))
    assert {name.rpartition(".")[0] for name in found.frozen} == {"stem", "norm"}
    assert set(found.generated) == names - found.frozen
    axes = {axis for group in found.groups for axis in group.axes}
    changing = {(name, axis) for name, own in found.morphing_axes.items() for axis in own}
    assert changing == axes


def test_an_outline_takes_the_weights_of_its_point() -> None:
    found = family()
    at = found.at(width=50)
    made = found.initialised(at, seed=3, norm=False)
    outline = found.skeleton(at)
    assert all(value.is_meta for value in outline.parameters())
    network = load_parameters(outline, parameters_of(made), assign=True)
    inputs = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(network(inputs), made(inputs))
    example = found.example_input()
    assert count_macs(found.skeleton(at), example.to("meta")) == count_macs(made, example) > 0


def test_networks_with_batch_norms_are_narrowed_alike() -> None:
    found = family()
    at = found.at(width=50)
    plain, normed = found.build(at), found.build(at, norm=True)
    normed.train()(torch.randn(4, 1, 8, 8)).sum().backward()
    assert normed.block.norm.num_features == 4
    folded = without_statistics(normed.eval())
    assert {n: v.shape for n, v in parameters_of(folded).items()} == {
        n: v.shape for n, v in parameters_of(plain).items()
    }


def test_outputs_of_fresh_networks_keep_their_size() -> None:
    torch.manual_seed(0)
    found, inputs = family(options={"channels": 64}), torch.randn(64, 1, 8, 8)
    spread = {
        width: found.initialised(found.at(width=width), seed=1)
        .block(found.initialised(found.base, seed=1).norm(torch.randn(8, 64, 8, 8)))
        .std()
        .item()
        for width in (25, 100)
    }
    assert 0.7 < spread[25] / spread[100] < 1.4
    assert inputs.shape[0] == 64


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"options": {"num_classes": 4}}, r"returns \(2, 4\); must be \(2, 3\)"),
        ({"options": {"channel": 4}}, "building it fails"),
        ({"build": "tests.own_network:OwnNet"}, "has no 'OwnNet'; did you mean 'OwnNetwork'"),
        ({"build": "tests.own_network:torch"}, "must be a function"),
        ({"scope": "layer9.*"}, "fits no group of this network"),
        ({"scope": "stem"}, "no channels can change within its scope"),
    ],
)
def test_what_is_no_family_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        family(**changes)


def test_a_section_takes_what_belongs_to_it() -> None:
    with pytest.raises(ValueError, match="family traced takes exactly build"):
        FamilyParams.model_validate({k: v for k, v in SECTION.items() if k != "build"})
    with pytest.raises(ValueError, match="takes exactly"):
        FamilyParams.model_validate(SECTION | {"head": "pooled"})
    resnet = {"name": "cifar_resnet", "depth": 20, "base_width": 64, "min_width": 4}
    with pytest.raises(ValueError, match="scope of cifar_resnet must be last_block"):
        FamilyParams.model_validate(resnet | {"max_width": 64, "scope": "layer3.*"})


def test_a_file_runs_no_builder_that_nobody_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    header = family().header()
    with pytest.raises(UserError, match="code that is run only if you name it"):
        family_from_header(header)
    assert family_from_header(header, own_network()).groups == family().groups
    (tmp_path / "params.yaml").write_text(f"mine: {{family: {{name: traced, build: '{BUILD}'}}}}\n")
    assert family_from_header(header).groups == family().groups
    evil = {**header["family"], "build": "os:system", "options": {"command": "touch here"}}
    with pytest.raises(UserError, match="os:system"):
        family_from_header(header | {"family": evil})
    assert not (tmp_path / "here").exists()
    download = {**header["family"], "build": "torchvision:resnet18", "options": {"weights": "X"}}
    with pytest.raises(UserError, match="asked to read other files, by 'weights'"):
        family_from_header(header | {"family": download})
