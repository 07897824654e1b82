"""Networks of one width: what is fresh, what is frozen, what is learnt."""

from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neumeta.methods.metamorphosis.baselines.individual import (
    fresh_network,
    given_network,
    train_network,
)
from neumeta.training.params import TeachingParams
from tests.methods.metamorphosis.baselines.toy_examples import (
    TEACHING,
    lenet_examples,
    recipe,
    resnet_examples,
)
from tests.toy import at

TEACH = TeachingParams.model_validate(TEACHING)


def test_fresh_blocks_stand_in_the_base_network() -> None:
    examples = resnet_examples()
    first, again, other = (
        dict(fresh_network(examples, at(16), seed, "generated").named_parameters())
        for seed in (0, 0, 1)
    )
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert torch.equal(value, other[name]) == (name in examples.family.frozen)
        if name in examples.family.frozen:
            assert torch.equal(value, examples.base[name])


def test_a_wholly_fresh_network_has_its_norms() -> None:
    examples = resnet_examples()
    network = fresh_network(examples, at(16), 0, "all")
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert not torch.equal(network.get_parameter("conv1.weight"), examples.base["conv1.weight"])


def test_both_ways_are_the_same_where_everything_is_generated() -> None:
    examples = lenet_examples()
    made = []
    for trains in ("generated", "all"):
        network = fresh_network(examples, at(3), 5, trains)
        made.append(train_network(examples, network, recipe(), trains, seed=5, label="individual"))
    assert all(torch.equal(made[0][name], value) for name, value in made[1].items())


@pytest.mark.parametrize("teaching", [None, TEACH])
def test_training_leaves_the_trunk_bit_equal(teaching: TeachingParams | None) -> None:
    examples = resnet_examples()
    network = given_network(examples, at(64), examples.base)
    weights = train_network(
        examples, network, recipe(steps=3), "generated", seed=0, label="toy", teaching=teaching
    )
    moved = {name for name, value in weights.items() if not torch.equal(value, examples.base[name])}
    assert moved == set(examples.family.generated)


def test_training_all_moves_everything_and_folds() -> None:
    examples = resnet_examples()
    network = fresh_network(examples, at(16), 0, "all")
    before = {n: p.detach().clone() for n, p in network.named_parameters() if "conv" in n}
    weights = train_network(examples, network, recipe(steps=2), "all", seed=0, label="individual")
    assert {n: tuple(v.shape) for n, v in weights.items()} == examples.family.shapes(at(16))
    for name, value in before.items():
        assert not torch.equal(network.get_parameter(name), value), name


def test_images_and_features_are_the_same_views() -> None:
    """What the trunk makes of the images of `all` are the features of `generated`."""
    examples = resnet_examples()
    images, seen = examples.bank("all"), examples.bank("generated")
    assert (images.part, seen.part) == ("whole", "tail")
    network = given_network(examples, at(64), examples.base).bfloat16()
    with torch.no_grad():
        made = network(images.views[1, :20], part="trunk")
    torch.testing.assert_close(made, seen.views[1, :20], rtol=0.05, atol=0.05)
    assert torch.equal(images.targets, seen.targets)


def test_distillation_is_measured_against_the_base_network() -> None:
    examples = lenet_examples()
    bank = examples.bank("generated")
    rows = torch.tensor([3, 50, 7])
    batch = bank.take(rows)
    outputs = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    teacher = given_network(examples, at(4), examples.base)(batch.inputs)
    distance = F.kl_div(
        F.log_softmax(outputs / 2, 1), F.softmax(teacher / 2, 1), reduction="batchmean"
    )
    wanted = 0.5 * F.cross_entropy(outputs, batch.targets) + 3.0 * 4.0 * distance
    teaching = TeachingParams(task=0.5, distillation=3.0, temperature=2.0)
    torch.testing.assert_close(examples.loss(outputs, batch, bank, teaching), wanted)
    plain = examples.loss(outputs, batch, bank)
    torch.testing.assert_close(plain, F.cross_entropy(outputs, batch.targets))


@pytest.mark.parametrize("trains", ["generated", "all"])
def test_the_same_seed_gives_the_same_weights(trains: Literal["generated", "all"]) -> None:
    runs = []
    for seed in (0, 0, 1):
        examples = resnet_examples()
        network = fresh_network(examples, at(16), 0, trains)
        runs.append(
            train_network(examples, network, recipe(steps=2), trains, seed=seed, label="individual")
        )
    first, again, other = runs
    assert all(torch.equal(first[name], value) for name, value in again.items())
    assert not all(torch.equal(first[name], value) for name, value in other.items())
