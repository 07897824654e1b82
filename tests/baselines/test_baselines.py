import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neumeta.baselines.prune import prune_l1
from neumeta.interpolate import interpolate_weights, resample
from neumeta.models.parameters import parameters_of
from tests.toy import toy_family


def base() -> dict[str, torch.Tensor]:
    return parameters_of(toy_family().initialised(4, seed=2))


@pytest.mark.parametrize("width", [2, 3, 4])
def test_shapes_fit_the_family(width: int) -> None:
    family = toy_family()
    for made in (prune_l1(base(), family, width), interpolate_weights(base(), family, width)):
        assert {name: tuple(value.shape) for name, value in made.items()} == family.shapes(width)


def test_nothing_changes_at_the_base_width() -> None:
    family = toy_family()
    for made in (prune_l1(base(), family, 4), interpolate_weights(base(), family, 4)):
        assert all(torch.equal(made[name], value) for name, value in base().items())


def test_pruning_keeps_the_function_when_the_cut_channels_are_dead() -> None:
    """Channels that are zero everywhere are the first to go, and nobody misses them."""
    family, weights = toy_family(), base()
    for group in family.groups:
        for name, axis in group.members:
            dead = torch.arange(0, weights[name].shape[axis], 2)
            weights[name].index_fill_(axis, dead, 0.0)
    small, large = family.build(2), family.build(4)
    small.load_state_dict(prune_l1(weights, family, 2))
    large.load_state_dict(weights)
    inputs = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(small(inputs), large(inputs))


def test_resampling_by_hand() -> None:
    weight = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert resample(weight, 0, 2).tolist() == [0.0, 2.0]
    assert resample(weight, 0, 8).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0]


@given(st.integers(1, 12), st.integers(1, 12), st.floats(-3, 3))
def test_resampling_keeps_constants(old: int, new: int, value: float) -> None:
    made = resample(torch.full((2, old), value), 1, new)
    torch.testing.assert_close(made, torch.full((2, new), value))


def test_fan_in_is_made_up_for() -> None:
    """A constant network sums to the same at every width."""
    family = toy_family()
    flat = {name: torch.ones_like(value) for name, value in base().items()}
    for width in (2, 3, 6):
        made = interpolate_weights(flat, family, width)
        for name in ("conv2.weight", "conv3.weight", "linear.weight"):
            sums = made[name].sum(1)
            torch.testing.assert_close(sums, torch.full_like(sums, flat[name].shape[1]))
        assert made["conv1.weight"].unique().tolist() == [1.0]  # image channels do not morph
