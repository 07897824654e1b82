"""What a network is worth without its generator."""

import pytest
import torch

from neumeta.core.errors import CollapseError
from neumeta.measure.controls import channel_constant, check_alive, floors, zeroed
from neumeta.measure.evaluator import Evaluator
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from tests.toy import at, toy_dataset, toy_family


def test_nothing_scores_like_the_first_class() -> None:
    family = toy_family()
    weights = parameters_of(family.initialised(at(4), seed=0))
    dead = zeroed(weights, family.generated)
    assert Evaluator(family, toy_dataset()).deciding(at(4), dead) == pytest.approx(1 / 3)
    kept = zeroed(weights, ["conv1.weight"])
    assert not kept["conv1.weight"].any()
    assert kept["conv2.weight"] is weights["conv2.weight"]


def test_a_constant_generator_is_blind_to_out_channels_in_channels_or_both() -> None:
    family = toy_family()
    weights = parameters_of(family.initialised(at(4), seed=0))
    blind = ([0], [1], [0, 1])
    for axes, left in zip(blind, channel_constant(weights, family.generated), strict=True):
        assert left.keys() == weights.keys()
        for name, value in left.items():
            if value.ndim == 1:
                assert value is weights[name]
                continue
            assert value.shape == weights[name].shape
            for axis in axes:
                assert torch.equal(value, value.narrow(axis, 0, 1).expand_as(value))
            torch.testing.assert_close(value.mean(axes), weights[name].mean(axes))


def test_floors_are_what_is_left_zeroed_first() -> None:
    family = toy_family()
    weights = parameters_of(family.initialised(at(4), seed=0))
    left = floors(weights, family.generated, dict)
    wanted = [zeroed(weights, family.generated), *channel_constant(weights, family.generated)]
    assert len(left) == len(wanted) == 4
    for have, want in zip(left, wanted, strict=True):
        assert all(torch.equal(have[name], value) for name, value in want.items())


@pytest.mark.parametrize("scope", ["last_block", "all_blocks"])
def test_what_is_left_of_zeroed_weights_does_not_depend_on_the_width(scope: str) -> None:
    """So the floor of one width is that of all."""
    settings = {"name": "cifar_resnet", "depth": 20, "scope": scope, "base_width": 64}
    spec = toy_dataset().input_spec()
    family = make_family({**settings, "min_width": 4, "max_width": 64}, spec)
    wide, narrow = (parameters_of(family.build(at(width))) for width in (64, 16))
    narrow |= {name: wide[name] for name in family.frozen}
    evaluator = Evaluator(family, toy_dataset())
    tallies = [
        evaluator.tally(at(width), zeroed(weights, family.generated))
        for width, weights in ((64, wide), (16, narrow))
    ]
    assert tallies[0] == tallies[1]


def test_collapse_is_told_from_life() -> None:
    with pytest.raises(CollapseError, match="run x: the generator is dead"):
        check_alive({8: 0.1, 16: 0.11}, floor=0.1, examples=10_000, where="run x")
    with pytest.raises(CollapseError):  # within three standard errors of the floor
        check_alive({8: 0.16}, floor=0.1, examples=200, where="run x")
    check_alive({8: 0.1, 16: 0.3}, floor=0.1, examples=200, where="run x")


def test_a_part_that_matters_little_is_not_called_dead() -> None:
    check_alive({32: 0.9992}, floor=0.993, examples=5_000, where="run x")  # less than one point
    with pytest.raises(CollapseError):  # within three standard errors
        check_alive({32: 0.996}, floor=0.993, examples=5_000, where="run x")
    with pytest.raises(CollapseError):  # more than those, but not a tenth of what is left
        check_alive({32: 0.9324}, floor=0.93, examples=10**6, where="run x")
