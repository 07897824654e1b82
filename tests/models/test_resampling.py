import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neumeta.models.parameters import parameters_of
from neumeta.models.resampling import resample
from tests.toy import at, toy_family


def base() -> dict[str, torch.Tensor]:
    return parameters_of(toy_family().initialised(at(4), seed=2))


@pytest.mark.parametrize("width", [2, 3, 4])
def test_shapes_fit_the_family(width: int) -> None:
    made = toy_family().resample(base(), at(width))
    assert {n: tuple(value.shape) for n, value in made.items()} == toy_family().shapes(at(width))


def test_nothing_changes_at_the_base_width() -> None:
    made = toy_family().resample(base(), at(4))
    assert all(torch.equal(made[name], value) for name, value in base().items())


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
        made = family.resample(flat, at(width))
        for name in ("conv2.weight", "conv3.weight", "linear.weight"):
            sums = made[name].sum(1)
            torch.testing.assert_close(sums, torch.full_like(sums, flat[name].shape[1]))
        assert made["conv1.weight"].unique().tolist() == [1.0]  # image channels do not morph
