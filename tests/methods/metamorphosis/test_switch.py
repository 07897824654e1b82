"""Changing the width of a running network, in place."""

import re
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.methods.metamorphosis import morph as module
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from tests.toy import toy_family

SETTINGS = {
    "coordinates": {"jitter": "weight", "origin": "edge", "size": "raw"},
    "encoding": {"identity_octaves": 1, "index_octaves": 3, "size_octaves": 1},
    "network": {
        "layers": 3,
        "hidden": 16,
        "residual": True,
        "residual_scale": 0.1,
        "arrangement": "block",
    },
}


def resnet() -> Family:
    """The last block morphs, the rest is frozen."""
    settings = {"name": "cifar_resnet", "depth": 20, "scope": "last_block"}
    settings |= {"base_width": 64, "min_width": 4, "max_width": 64}
    return make_family(settings, {"image_shape": [3, 32, 32], "classes": list("abc")})


def morphable(family: Family) -> MorphableNetwork:
    base = parameters_of(family.initialised(family.base, seed=0, norm=False))
    inr = WeightGenerator(family, SETTINGS, torch.Generator().manual_seed(0))
    inr.calibrate(base)
    frozen = {name: value for name, value in base.items() if name not in family.generated}
    return MorphableNetwork(family, inr.requires_grad_(False), frozen, {"noise": 0.5})


@pytest.fixture(params=["lenet", "resnet"])
def morph(request: pytest.FixtureRequest) -> Iterator[MorphableNetwork]:
    yield morphable(toy_family() if request.param == "lenet" else resnet())


def same(found: nn.Module, wanted: nn.Module, inputs: Tensor) -> None:
    """Assert that two networks are one in weights, in what they say of themselves, in answers."""
    ours, theirs = dict(found.named_parameters()), dict(wanted.named_parameters())
    assert [*ours] == [*theirs]
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    assert repr(found) == repr(wanted)  # in_channels, out_features, ...
    assert torch.equal(found(inputs), wanted(inputs))


def test_it_becomes_what_sample_makes_and_stays_the_same_object(morph: MorphableNetwork) -> None:
    inputs = torch.rand(2, *morph.family.input_spec["image_shape"])
    network = morph.sample(6)
    modules, seen = list(network.modules()), []
    network.register_forward_hook(lambda *_: seen.append("whole"))
    first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
    first.register_forward_hook(lambda *_: seen.append("first"))
    for width in (4, 5, 6):
        morph.switch(network, width)
        same(network, morph.sample(width), inputs)
    morph.switch(network, at=morph.family.at(width=5), draws=3, noise=0.25)
    same(network, morph.sample(5, draws=3, noise=0.25), inputs)
    random = [torch.Generator().manual_seed(5) for _ in range(2)]
    morph.switch(network, 5, generator=random[0])
    same(network, morph.sample(5, generator=random[1]), inputs)
    assert all(one is other for one, other in zip(modules, network.modules(), strict=True))
    assert seen == ["first", "whole"] * 5
    sizes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert sizes == morph.family.shapes(morph.family.at(width=5))


def test_mode_type_and_what_is_trained_stay(morph: MorphableNetwork) -> None:
    network = morph.sample(6).double().train()
    name = morph.family.generated[0]
    network.get_parameter(name).requires_grad_(False)
    morph.switch(network, 4)
    assert network.training and all(part.training for part in network.modules())
    wanted = morph.sample(4)
    for key, value in network.named_parameters():
        assert value.dtype == torch.float64 and value.is_leaf and value.grad is None
        assert value.requires_grad == (key != name)
        assert torch.equal(value.float(), wanted.get_parameter(key))


def test_kept_weights_are_made_once_bounded_and_not_those_of_the_network(
    morph: MorphableNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_NETWORKS", 2)
    made: list[tuple[int, int, float]] = []
    weights = WeightGenerator.weights

    def counted(inr: WeightGenerator, at: object, **how: object) -> dict[str, Tensor]:
        made.append((at["width"], how["draws"], how["noise"]))  # type: ignore[index,arg-type]
        return weights(inr, at, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(WeightGenerator, "weights", counted)
    network = morph.sample(6)
    made.clear()
    for width in (4, 5, 4, 5):
        morph.switch(network, width, keep=True)
        with torch.no_grad():
            for value in network.parameters():
                value.add_(1.0)  # as a training does
    assert made == [(4, 16, 0.5), (5, 16, 0.5)]
    morph.switch(network, 4, keep=True)
    inputs = torch.rand(2, *morph.family.input_spec["image_shape"])
    same(network, morph.sample(4), inputs)
    made.clear()
    morph.switch(network, 4, keep=True)
    morph.switch(network, 4, keep=True, draws=2)  # the third: that of width 5 goes
    morph.switch(network, 4, keep=True)
    morph.switch(network, 5, keep=True)
    assert made == [(4, 2, 0.5), (5, 16, 0.5)]
    morph.switch(network, 5)
    assert len(made) == 3


def test_training_a_sampled_network_leaves_the_others_alone(morph: MorphableNetwork) -> None:
    network, wanted = morph.sample(4), parameters_of(morph.sample(4))
    with torch.no_grad():
        for value in network.parameters():
            value.add_(1.0)
    for name, value in morph.sample(4).named_parameters():
        assert torch.equal(value, wanted[name])


class Other(nn.Linear):
    """A layer of a user."""


def test_what_is_no_network_of_the_family_is_told_in_one_line(morph: MorphableNetwork) -> None:
    name = morph.family.name
    made = f"; switch takes a network that sample made of the {name} family"
    whole = type(morph.sample(4)).__name__
    wrong = {
        "network is 5": 5,
        f"the network is Linear, where the family has {whole}": nn.Linear(2, 2),
    }
    changed = morph.sample(4)
    last = next(n for n, m in changed.named_modules() if isinstance(m, nn.Linear))
    setattr(changed, last, Other(1, 1))
    wrong[f"module '{last}' is Other, where the family has Linear"] = changed
    bare = morph.sample(4)
    setattr(bare, last, nn.Linear(1, 1, bias=False))
    wrong[f"parameter '{last}.bias' is not in both"] = bare
    resized = morph.sample(4)
    size = resized.get_parameter(f"{last}.weight").shape
    setattr(resized, last, nn.Linear(size[1], size[0] + 1))
    wrong[f"{last}.weight has size {size[0] + 1} along axis 0, not {size[0]}"] = resized
    flat = morph.sample(4)
    flat.get_submodule(last).weight = nn.Parameter(torch.zeros(3))
    wrong[f"{last}.weight has 1 axes, not 2"] = flat
    for message, network in wrong.items():
        with pytest.raises(UserError, match=re.escape(message) + ".*" + re.escape(made)) as caught:
            morph.switch(network, 5)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_what_is_refused_changes_nothing(morph: MorphableNetwork) -> None:
    network = morph.sample(4)
    before = parameters_of(network)
    low, high = morph.family.axes[0].low, morph.family.axes[0].high
    for message, how in {
        f"width 99 is outside the {morph.family.name} family; use {low}..{high}": {"width": 99},
        "name one network": {},
        "draws is 0": {"width": 5, "draws": 0},
        "noise is -1": {"width": 5, "noise": -1},
        "keep is 2; must be true or false": {"width": 5, "keep": 2},
        "weights of a generator are drawn anew": {
            "width": 5,
            "keep": True,
            "generator": torch.Generator(),
        },
        "generator is 3": {"width": 5, "generator": 3},
    }.items():
        with pytest.raises(UserError, match=message):
            morph.switch(network, **how)  # type: ignore[arg-type]
    assert all(torch.equal(before[name], value) for name, value in network.named_parameters())
