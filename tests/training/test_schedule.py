import pytest
import torch
from torch import nn

from neumeta.training.optimiser import make_optimiser
from neumeta.training.params import OptimiserParams, ScheduleParams
from neumeta.training.schedule import rate_at


def schedule(shape: str) -> ScheduleParams:
    settings = {"shape": shape, "start_divisor": 25.0, "rise": 0.2}
    return ScheduleParams.model_validate(settings)


def rates(shape: str) -> list[float]:
    return [rate_at(step, 100, 0.1, schedule(shape)) for step in range(100)]


def test_one_cycle_rises_to_the_peak_and_falls_to_zero() -> None:
    found = rates("one_cycle")
    assert found[0] == pytest.approx(0.1 / 25)
    assert max(found) == found[20] == pytest.approx(0.1)
    assert found[:21] == sorted(found[:21])
    assert found[20:] == sorted(found[20:], reverse=True)
    assert found[-1] < 1e-4


def test_cosine_only_falls_and_constant_stays() -> None:
    found = rates("cosine")
    assert found[0] == pytest.approx(0.1)
    assert found == sorted(found, reverse=True)
    assert found[50] == pytest.approx(0.05)
    assert set(rates("constant")) == {0.1}


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_optimiser_is_that_of_the_params(name: str) -> None:
    """Against a step worked out by hand, from weight 1 with gradient 2."""
    settings = {"name": name, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}
    weight = nn.Parameter(torch.tensor([1.0]))
    optimiser = make_optimiser([weight], OptimiserParams.model_validate(settings))
    for group in optimiser.param_groups:
        group["lr"] = 0.01
    weight.grad = torch.tensor([2.0])
    optimiser.step()
    expected = 1 - 0.01 * 0.1 - 0.01 if name == "adamw" else 1 - 0.01 * (2 + 0.1)
    assert weight.item() == pytest.approx(expected, abs=1e-6)
