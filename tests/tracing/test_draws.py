"""Networks that draw random numbers: one seed for every run, and a rule for the draws."""

import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neumeta.tracing.draws import EvenDraws, same_draws
from neumeta.tracing.trace import trace_cliques
from tests.small_networks import Wrapped, linear, noise, sizes, two_layers


def around(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    spread = F.softplus(layers[1](inputs))
    drawn = torch.distributions.Normal(layers[0](inputs), spread).rsample()
    result: Tensor = layers[2](torch.relu(drawn))
    return result


def twice(layers: nn.ModuleList, inputs: Tensor, change: Any = torch.clone) -> Tensor:
    drawn = torch.rand(len(inputs), 4)
    left, right = torch.relu(layers[0](inputs)), torch.relu(layers[1](inputs))
    result: Tensor = layers[2](torch.cat([left * drawn, right * change(drawn)], dim=1))
    return result


def own_generator(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    drawn = torch.rand(len(inputs), 8, generator=torch.Generator().manual_seed(3))
    result: Tensor = layers[1](torch.relu(layers[0](inputs)) * drawn)
    return result


Case = tuple[Any, list[tuple[int, int]], list[int]]
CASES: dict[str, Case] = {
    "dropout left on": (
        lambda layers, x: layers[1](F.dropout(torch.relu(layers[0](x)), 0.1)),
        [(3, 8), (8, 2)],
        [8],
    ),
    "noise on inputs": (
        lambda layers, x: two_layers(layers, x + 0.1 * torch.randn_like(x)),
        [(3, 8), (8, 2)],
        [8],
    ),
    "a choice of Python": (
        lambda layers, x: two_layers(layers, x) * (1 if random.random() < 0.5 else 2),
        [(3, 8), (8, 2)],
        [8],
    ),
    "a number of numpy": (
        lambda layers, x: two_layers(layers, x + float(np.random.rand())),
        [(3, 8), (8, 2)],
        [8],
    ),
    "whole samples left out": (
        lambda layers, x: layers[1](
            torch.relu(layers[0](x)) * torch.bernoulli(torch.full((len(x), 1), 0.9))
        ),
        [(3, 8), (8, 2)],
        [8],
    ),
    "units of chance": (
        lambda layers, x: layers[1](torch.bernoulli(torch.sigmoid(layers[0](x)))),
        [(3, 8), (8, 2)],
        [8],
    ),
    "a softmax of chance": (
        lambda layers, x: layers[1](F.gumbel_softmax(layers[0](x))),
        [(3, 8), (8, 2)],
        [8],
    ),
    "a generator of its own": (own_generator, [(3, 8), (8, 2)], []),
    "one draw in two places": (twice, [(3, 4), (3, 4), (8, 2)], [4]),
    "one draw in two orders": (
        lambda layers, x: twice(layers, x, lambda drawn: drawn.roll(1, 1)),
        [(3, 4), (3, 4), (8, 2)],
        [4],
    ),
    "a draw and its sums": (
        lambda layers, x: twice(layers, x, lambda drawn: drawn.cumsum(1)),
        [(3, 4), (3, 4), (8, 2)],
        [],
    ),
    "a drawn order": (
        lambda layers, x: layers[1](torch.relu(layers[0](x))[:, torch.randperm(8)]),
        [(3, 8), (8, 2)],
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_draws_for_all_places_alike_leave_orders_free(name: str) -> None:
    run, shapes, wanted = CASES[name]
    assert sizes(trace_cliques(Wrapped(run, *linear(*shapes)).eval(), noise(2, 3))) == wanted


@pytest.mark.filterwarnings("ignore:the network asks for a number")
def test_samples_around_computed_means() -> None:
    network = Wrapped(around, *linear((3, 8), (3, 8), (8, 2))).eval()
    assert sizes(trace_cliques(network, noise(2, 3))) == [8]


def test_even_draws() -> None:
    mean, spread = torch.tensor([1.0, 5.0]), torch.tensor([1.0, 2.0])
    share = torch.tensor([0.25, 0.75])
    with same_draws(), EvenDraws():
        first, second = torch.rand(4), torch.randn(3)
        around_mean = torch.normal(mean, spread)
        kept = torch.bernoulli(share)
        dropped = F.dropout(mean, 0.5)
    assert first.unique().numel() == second.unique().numel() == 1
    assert first[0] != second[0]
    assert (around_mean[1] - 5) == pytest.approx(2 * float(around_mean[0] - 1))
    assert torch.equal(kept, share)
    assert torch.equal(dropped, 2 * mean)


def test_seeds_are_put_back() -> None:
    before = torch.random.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()
    with same_draws():
        first = torch.rand(1), random.random(), np.random.rand()
    with same_draws():
        assert (torch.rand(1), random.random(), np.random.rand()) == first
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state(legacy=False)["state"]["key"] == before[1]).all()
    seeded = random.Random(0)
    seeded.random()
    assert random.getstate() != seeded.getstate()  # checks of types in tests draw numbers, too


def seeded(hidden: Tensor, way: str) -> Tensor:
    """Numbers that are the same in every run, each at its place."""
    generator = torch.Generator().manual_seed(3)
    if way == "generator":
        return hidden * torch.rand(8, generator=generator)
    if way == "written":
        return hidden * torch.empty(8).normal_(generator=generator)
    if way == "fork":
        with torch.random.fork_rng():
            torch.manual_seed(5)
            drawn = torch.randn(8)
        return hidden * drawn
    if way == "state":
        torch.set_rng_state(generator.get_state())
    else:
        torch.manual_seed(7)
    return hidden + torch.rand(8)


@pytest.mark.parametrize("way", ["generator", "written", "fork", "state", "seed"])
def test_numbers_of_a_seed_of_its_own_hold_their_places(way: str) -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        result: Tensor = layers[1](seeded(torch.relu(layers[0](inputs)), way))
        return result

    assert sizes(trace_cliques(Wrapped(run, *linear((3, 8), (8, 2))).eval(), noise(2, 3))) == []


def test_a_branch_on_a_random_number_is_told() -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        hidden = torch.relu(layers[0](inputs))
        result: Tensor = layers[1](hidden if torch.rand(()) < 2 else hidden.flip(1))
        return result

    with pytest.warns(UserWarning, match="the network asks for a number at .*test_draws.py"):
        found = trace_cliques(Wrapped(run, *linear((3, 8), (8, 2))).eval(), noise(2, 3))
    assert len(found.branches) == 1
