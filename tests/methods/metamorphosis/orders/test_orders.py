"""Orders of every strategy: what is told of them is what they do."""

from typing import Any

import pytest
import torch
from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.methods.metamorphosis.orders import orders
from neumeta.methods.metamorphosis.orders.orders import measure_orders
from neumeta.methods.metamorphosis.orders.strategies import STRATEGIES
from neumeta.methods.metamorphosis.params.study import OrderStrategy
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from neumeta.permute.distances import group_distances, path_length
from neumeta.permute.orders import find_orders
from neumeta.permute.variation import total_variation
from tests.toy import toy_dataset, toy_family

NAMES = tuple(strategy.name for strategy in STRATEGIES)


def cifar_family() -> Family:
    spec = {**toy_dataset().input_spec(), "image_shape": [1, 8, 8]}
    settings = {"name": "cifar_resnet", "depth": 20, "scope": "last_block"}
    widths = {"base_width": 64, "min_width": 4, "max_width": 64}
    return make_family({**settings, **widths}, spec)


def weights_of(family: Family) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return parameters_of(family.build(family.base))


@pytest.fixture(scope="module")
def measured() -> tuple[dict[str, Tensor], dict[str, Any]]:
    family = toy_family(base_width=6)
    weights, images = weights_of(family), toy_dataset().split("val").inputs[:4]
    return weights, measure_orders(family, weights, images, [0, 1, 2])


def test_every_strategy_is_run_with_every_seed(measured: Any) -> None:
    _, facts = measured
    assert [(run["strategy"], run["seed"]) for run in facts["runs"]] == [
        (name, seed) for name in NAMES for seed in (0, 1, 2)
    ]
    assert all(run["function_error"] < 1e-12 for run in facts["runs"])
    variation = {
        name: {run["variation"] for run in facts["runs"] if run["strategy"] == name}
        for name in NAMES
    }
    assert len(variation["random"]) == 3  # its seeds draw different orders
    for name in ("original", "layer-greedy", "layer-2-opt"):
        assert len(variation[name]) == 1


def test_variation_is_that_of_the_permuted_network(measured: Any) -> None:
    """In LeNet every channel axis is in a group: what paths gain, the network gains."""
    weights, facts = measured
    before = total_variation(weights)
    assert facts["runs"][0]["variation"] == before.sum
    assert facts["runs"][0]["variation_per_tensor"] == before.per_tensor
    assert facts["tensors"] == len(weights)
    assert facts["parameters"] == sum(value.numel() for value in weights.values())
    for place, run in enumerate(facts["runs"]):
        name, seed = NAMES[place // 3], place % 3
        gained = sum(
            group["lengths"]["original"][0] - group["lengths"][name][seed]
            for group in facts["groups"]
        )
        assert before.sum - run["variation"] == pytest.approx(gained, abs=1e-6)


def test_our_order_is_the_shortest_and_no_path_is_below_the_bound(measured: Any) -> None:
    _, facts = measured
    assert [group["channels"] for group in facts["groups"]] == [6, 12, 24]
    for group in facts["groups"]:
        lengths = {name: min(found) for name, found in group["lengths"].items()}
        assert min(lengths.values()) == lengths["ours"]
        assert group["lower_bound"] <= lengths["ours"] * (1 + 1e-9)
        assert group["lower_bound"] > 0.9 * lengths["ours"]


def test_layer_wise_strategies_look_at_the_first_tensor_alone() -> None:
    """What other tensors of a group hold changes our order, and not theirs."""
    family = toy_family(base_width=6)
    weights, images = weights_of(family), toy_dataset().split("val").inputs[:2]
    other = {**weights, "linear.weight": torch.randn(weights["linear.weight"].shape)}
    measured = measure_orders(family, other, images, [0])["groups"][2]
    groups = family.groups
    distances = group_distances(other, groups[2])
    for strategy in STRATEGIES:
        solve, objective = strategy.solve(0), strategy.objective
        _, found = find_orders(weights, groups, solve, objective=objective)
        length = path_length(distances, torch.tensor(found[2].order))
        same = measured["lengths"][strategy.name] == [pytest.approx(length)]
        assert same == (strategy.name != "ours"), strategy.name


def test_a_residual_network_has_traced_groups_and_keeps_its_function() -> None:
    family = cifar_family()
    images = toy_dataset().split("val").inputs[:2]
    facts = measure_orders(family, weights_of(family), images, [3])
    assert len(facts["groups"]) == 12
    assert all(run["function_error"] < 1e-9 for run in facts["runs"])
    assert "is an output of the network" in facts["pinned"]


def test_an_order_that_changes_the_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    family = toy_family()
    traced = orders.trace_cliques

    def wrong(*args: Any) -> Any:
        cliques = traced(*args)
        return type(cliques)(
            tuple(type(g)(g.name, g.members[:1], g.level) for g in cliques.groups), cliques.pinned
        )

    monkeypatch.setattr(orders, "trace_cliques", wrong)
    with pytest.raises(UserError, match="clique groups do not match"):
        measure_orders(family, weights_of(family), toy_dataset().split("val").inputs[:2], [0])


def test_names_are_those_of_the_schema() -> None:
    from typing import get_args

    assert get_args(OrderStrategy) == NAMES
