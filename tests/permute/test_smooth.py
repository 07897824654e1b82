"""Whole networks made smooth: the function stays, lengths are total variations, gaps are proven."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy import ndarray
from torch import nn

from neumeta.core.errors import UserError
from neumeta.models.cifar_resnet import CifarResNet
from neumeta.models.lenet import LeNet
from neumeta.permute.distances import group_distances, path_length
from neumeta.permute.function import assert_function_preserved, function_change
from neumeta.permute.orders import GroupResult, find_orders
from neumeta.permute.smooth import smooth
from neumeta.permute.solve import order_units
from neumeta.permute.solvers import SOLVERS, Solver
from neumeta.permute.variation import total_variation, variation_along
from neumeta.tracing.groups import Group
from neumeta.tracing.trace import trace_cliques


def lenet() -> nn.Module:
    torch.manual_seed(1)
    return LeNet(6, in_channels=1, classes=3, head="pooled").eval()


IMAGES = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_keeps_the_function(solver: Solver) -> None:
    network = lenet()
    found = smooth(network, IMAGES, solver=solver)
    before = network.state_dict()
    after = found.arrangement.apply(before)
    assert function_change(network, before, after, IMAGES).relative < 1e-12
    back = found.arrangement.inverse().apply(after)
    assert all(torch.equal(back[name], value) for name, value in before.items())
    # In LeNet every channel axis but those of images and classes is in a group.
    gained = sum(group.length_before - group.length_after for group in found.groups)
    real = total_variation(before).sum - total_variation(after).sum
    assert gained == pytest.approx(real, abs=1e-6)
    for group in found.groups:
        assert group.lower_bound <= group.length_after * (1 + 1e-9)
        assert group.gap >= 0
    if solver == "best":
        assert max(group.gap for group in found.groups) < 0.01
        assert real > 0


def test_a_result_depends_neither_on_other_groups_nor_on_their_order() -> None:
    network = lenet()
    cliques = trace_cliques(network, IMAGES)
    whole = {group.name: group.order for group in smooth(network, IMAGES).groups}
    state = network.state_dict()

    def solve(distances: ndarray) -> ndarray:
        return order_units(distances, "best", np.random.default_rng(0))

    for groups in (cliques.groups[::-1], cliques.groups[1:2]):
        _, results = find_orders(state, groups, solve)
        assert {group.name: group.order for group in results} == {
            group.name: whole[group.name] for group in groups
        }


def test_buffers_follow_without_a_say() -> None:
    """Statistics of another scale change no order; with them the outputs stay."""
    torch.manual_seed(0)
    network = CifarResNet([6] * 3, in_channels=3, classes=4, norm=True).eval()
    images = torch.randn(2, 3, 16, 16)
    plain = smooth(network, images)
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.uniform_(1, 1000)
    wild = smooth(network, images)
    assert [group.order for group in plain.groups] == [group.order for group in wild.groups]
    before = network.state_dict()
    after = wild.arrangement.apply(before)
    assert not torch.equal(after["bn1.running_var"], before["bn1.running_var"])
    assert function_change(network, before, after, images).relative < 1e-12


def test_heads_of_attention_are_ordered_as_blocks() -> None:
    torch.manual_seed(0)
    network = nn.TransformerEncoderLayer(12, 3, 20, batch_first=True).eval()
    inputs = torch.randn(2, 5, 12)
    found = smooth(network, inputs)
    sizes = {group.name: group.channels for group in found.groups}
    assert sizes["self_attn.in_proj_weight, blocks"] == 3
    before = network.state_dict()
    after = found.arrangement.apply(before)
    assert function_change(network, before, after, inputs).relative < 1e-12


def test_path_length_is_the_members_variation_along_their_shared_axis() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {
        "a.weight": torch.randn(5, 2, 3, 3, generator=generator),
        "a.bias": torch.randn(5, generator=generator),
        "b.weight": torch.randn(4, 5, generator=generator),
    }
    axes = (("a.weight", 0), ("a.bias", 0), ("b.weight", 1))
    group = Group.of_axes("a", axes, 5)
    order = torch.tensor([3, 0, 4, 1, 2])

    def along(tensor: str, axis: int) -> float:
        return variation_along(weights[tensor].index_select(axis, order), axis)

    whole = path_length(group_distances(weights, group), order)
    assert whole == pytest.approx(sum(along(*axis) for axis in axes))
    first = path_length(group_distances(weights, group, objective="first"), order)
    assert first == pytest.approx(along("a.weight", 0))
    quiet = path_length(group_distances(weights, group, silent={"a.weight"}), order)
    assert quiet == pytest.approx(along("a.bias", 0) + along("b.weight", 1))


def test_normalised_members_count_alike_whatever_their_scale() -> None:
    weights = {"a": torch.randn(6, 3), "b": torch.randn(6)}
    group = Group.of_axes("a", (("a", 0), ("b", 0)), 6)
    scaled = {"a": 1000 * weights["a"], "b": weights["b"]}
    plain, other = (group_distances(w, group, normalise=True) for w in (weights, scaled))
    torch.testing.assert_close(plain, other)
    zero = {"a": torch.zeros(6, 3), "b": weights["b"]}
    assert group_distances(zero, group, normalise=True).isfinite().all()


def test_a_group_that_misses_a_member_is_caught() -> None:
    network = lenet()
    cliques = trace_cliques(network, IMAGES)
    broken = [Group(g.name, g.members[:-1], g.level) for g in cliques.groups]
    state = network.state_dict()
    arrangement, _ = find_orders(state, broken, lambda distances: np.arange(len(distances))[::-1])
    change = function_change(network, state, arrangement.apply(state), IMAGES)
    with pytest.raises(UserError, match="clique groups do not match"):
        assert_function_preserved(change.relative, 1e-5)
    with pytest.raises(UserError):
        assert_function_preserved(math.nan, 1e-5)


def test_weights_that_are_no_numbers_are_one_line() -> None:
    network = lenet()
    network.state_dict()["conv2.weight"][0, 0, 0, 0] = math.nan
    with pytest.raises(UserError, match="are not all finite numbers"):
        smooth(network, IMAGES)


def test_gap() -> None:
    def gap(after: float, bound: float) -> float:
        return GroupResult("g", 3, 9.0, after, bound, (0, 1, 2)).gap

    assert gap(5.0, 4.0) == 0.25
    assert gap(5.0, 5.0 - 1e-12) == 0
    assert gap(0.0, 0.0) == 0
    assert gap(5.0, 0.0) == math.inf
    assert GroupResult("g", 3, 9.0, 5.0, 0.0, ()).facts()["gap"] is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"solver": "fast"}, "solver is 'fast'; allowed are none, random, greedy"),
        ({"objective": "last"}, "objective is 'last'; allowed are all, first"),
        ({"normalise": "yes"}, "normalise is 'yes'; allowed are False, True"),
        ({"seed": -1}, "seed is -1; must be a whole number from 0 up"),
        ({"seed": "a"}, "seed is 'a'; must be"),
    ],
)
def test_a_wrong_option_is_one_line(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        smooth(lenet(), IMAGES, **options)
