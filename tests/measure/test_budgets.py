"""The widest network within a budget."""

import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from neumeta.core.errors import UserError
from neumeta.measure import budgets
from neumeta.measure.budgets import Budget, widest
from neumeta.measure.latency import RUNS, WARM_UP, latency
from neumeta.models.cost import count_macs, count_params
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.source import Card
from tests.toy import toy_family


class Fresh:
    """Networks with initial weights."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.card = Card("fresh", None, 0, {}, ())

    def weights(self, at: object, *, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return parameters_of(self.family.build(at))  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [2, 3, 5, 6])
def test_the_widest_network_of_as_many_parameters_or_macs_is_found(width: int) -> None:
    source = Fresh(toy_family())
    network = source.family.build(source.family.at(width=width))
    params = count_params(network)
    macs = count_macs(network, source.family.example_input())
    assert widest(source, Budget("params", float(params))).at["width"] == width
    assert widest(source, Budget("macs", float(macs))).at["width"] == width
    found = widest(source, Budget("params", params + 1.0))
    assert (found.at["width"], found.cost) == (width, params)


def test_a_budget_below_the_smallest_network_is_refused() -> None:
    with pytest.raises(UserError, match=r"the smallest network, width 2, costs .* parameters"):
        widest(Fresh(toy_family()), Budget("params", 3.0))


def test_latencies_decide_as_they_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Fresh(toy_family())
    monkeypatch.setattr(
        budgets, "latency", lambda network, example: 1e-3 * network.conv1.out_channels
    )
    found = widest(source, Budget.of("latency", "4.5ms"))
    assert (found.at["width"], found.cost) == (4, 4e-3)


def test_latency_is_the_median_of_runs_after_a_warm_up() -> None:
    class Sleepy(nn.Module):
        calls = 0

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            time.sleep(0.05 if self.calls <= WARM_UP or self.calls == WARM_UP + 3 else 0.001)
            return inputs

    network = Sleepy()
    assert 0.001 <= latency(network, torch.zeros(1)) < 0.02
    assert network.calls == WARM_UP + RUNS


@pytest.mark.parametrize(
    ("kind", "text", "most"),
    [
        ("params", "150k", 150e3),
        ("macs", "20M", 20e6),
        ("latency", "5ms", 5e-3),
        ("params", 7.0, 7),
    ],
)
def test_budgets_have_units(kind: budgets.Kind, text: str | float, most: float) -> None:
    assert Budget.of(kind, text).most == pytest.approx(most)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("params", "5ms"), ("latency", "5"), ("macs", "-1M"), ("macs", "0"), ("params", "many")],
)
def test_other_texts_are_refused(kind: budgets.Kind, text: str) -> None:
    with pytest.raises(UserError, match=f"--{kind} is '{text}'; must be a number above 0"):
        Budget.of(kind, text)


def test_a_budget_words_its_costs() -> None:
    budget = Budget("latency", 1.0)
    assert budget.text(0.00512) == "5.12 ms"
    assert replace(budget, kind="params").text(1234.0) == "1,234 parameters"
