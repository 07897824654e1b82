import numpy as np
import pytest
import torch

from neumeta.errors import UserError
from neumeta.models.groups import CliqueGroup
from neumeta.models.parameters import parameters_of
from neumeta.permute.apply import (
    apply_orders,
    assert_function_preserved,
    find_orders,
    function_error,
    invert_orders,
)
from neumeta.permute.variation import total_variation
from tests.toy import toy_dataset, toy_family


@pytest.mark.parametrize("head", ["pooled", "corner"])
def test_permuted_network_keeps_its_function_and_gets_smoother(head: str) -> None:
    family = toy_family(head=head)
    weights = parameters_of(family.initialised(4, seed=1))
    inputs = toy_dataset().split("val").inputs
    orders, results = find_orders(
        weights, family.groups, perturbations=5, generator=np.random.default_rng(0)
    )
    permuted = apply_orders(weights, family.groups, orders)
    assert function_error(family.skeleton(4), weights, permuted, inputs) < 1e-12
    assert total_variation(permuted).sum < total_variation(weights).sum
    gained = sum(result.tv_before - result.tv_after for result in results)
    real = total_variation(weights).sum - total_variation(permuted).sum
    assert gained == pytest.approx(real, rel=1e-5)


def test_orders_can_be_undone() -> None:
    family = toy_family()
    weights = parameters_of(family.initialised(4, seed=1))
    orders = {"conv1": torch.randperm(4), "conv2": torch.randperm(8), "conv3": torch.randperm(16)}
    there = apply_orders(weights, family.groups, orders)
    back = apply_orders(there, family.groups, invert_orders(orders))
    assert not torch.equal(there["conv2.weight"], weights["conv2.weight"])
    assert all(torch.equal(back[name], weights[name]) for name in weights)


def test_a_group_that_misses_a_member_is_caught() -> None:
    family = toy_family()
    weights = parameters_of(family.initialised(4, seed=1))
    groups = [
        CliqueGroup(group.name, tuple(m for m in group.members if m != ("conv2.weight", 1)))
        for group in family.groups
    ]
    orders = {
        "conv1": torch.tensor([3, 1, 0, 2]),
        "conv2": torch.arange(8),
        "conv3": torch.arange(16),
    }
    broken = apply_orders(weights, groups, orders)
    error = function_error(family.skeleton(4), weights, broken, toy_dataset().split("val").inputs)
    with pytest.raises(UserError, match="clique groups do not match"):
        assert_function_preserved(error, 1e-5)
    with pytest.raises(UserError):
        assert_function_preserved(float("nan"), 1e-5)
