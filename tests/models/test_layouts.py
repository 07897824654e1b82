"""Axes along which a unit is several places, or that units of two groups share."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from neumeta.inr.jitter import ChannelJitter
from neumeta.methods.metamorphosis.baselines.channels import keep_top, leading_channels
from neumeta.models.family import Family
from neumeta.models.layouts import Segment, layout_of
from neumeta.models.parameters import load_parameters
from neumeta.models.switching import require_member, switch
from neumeta.models.traced.surgery import traced_family
from neumeta.tracing.groups import Group, Member
from tests.toy import toy_dataset


class Joined(nn.Module):
    """Two branches and the image itself, side by side; then a flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 1), nn.Conv2d(1, 6, 3, padding=1)
        self.c, self.last = nn.Conv2d(11, 4, 1), nn.Linear(4 * 4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = torch.cat([torch.relu(self.a(inputs)), inputs, torch.relu(self.b(inputs))], 1)
        maps = nn.functional.adaptive_avg_pool2d(torch.relu(self.c(maps)), 2)
        result: Tensor = self.last(maps.flatten(1))
        return result


class Attending(nn.Module):
    """Torch's attention over patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        self.attention: Any = nn.MultiheadAttention(8, 4, batch_first=True)
        self.last = nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.patches(inputs).flatten(2).transpose(1, 2)
        result: Tensor = self.last((tokens + self.attention(tokens, tokens, tokens)[0]).mean(1))
        return result


def family_of(make: Callable[[], nn.Module]) -> tuple[Family, nn.Module]:
    torch.manual_seed(0)
    network = make().eval()
    settings: dict[str, Any] = {"name": "traced", "build": "own:test", "scope": "*"}
    settings |= {"base_width": 100, "min_width": 25, "max_width": 100}
    return traced_family(settings, toy_dataset().input_spec(), network), network


def test_a_flattened_axis_goes_part_by_part() -> None:
    places = tuple((2 * unit, 2 * unit + 1) for unit in range(4))
    group = Group("conv", (Member("linear.weight", 1, places),))
    layout = layout_of([group], {"conv": 2}, "linear.weight", 1, 8)
    assert layout is not None
    assert list(layout.segments) == [
        Segment("conv", (0, 2, 4, 6), (0, 2)),
        Segment("conv", (1, 3, 5, 7), (1, 3)),
    ]
    assert list(layout.ranks) == [0, 2, 1, 3]
    assert [unit for _, unit in layout.owners] == [0, 0, 1, 1]
    weight = torch.tensor([[1.0, 10, 3, 30, 5, 50, 7, 70]])
    found = layout.resampled(weight, 1, "centre")  # means of two channels, twice the fan-in gone
    assert found.tolist() == [[4, 40, 12, 120]]


def test_groups_side_by_side_and_what_is_fixed_between_them() -> None:
    first = Group("a", (Member("c.weight", 1, ((0,), (1,))),))
    second = Group("b", (Member("c.weight", 1, ((3,), (4,), (5,), (6,))),))
    layout = layout_of([first, second], {"a": 1, "b": 2}, "c.weight", 1, 7)
    assert layout is not None
    assert [segment.places for segment in layout.segments] == [(0,), (1,), (2, 3)]
    assert layout.owners == (("a", 0), ("", 0), ("b", 0), ("b", 1))
    assert layout.ranks == pytest.approx([0, 2 * 4 / 7, 3 * 4 / 7, 5 * 4 / 7])
    found = layout.resampled(torch.arange(7.0)[None], 1, "centre")
    assert found.tolist() == [[1, 2, 7, 11]]  # what is fixed stays, the rest counts twice


def test_more_units_than_the_base_has() -> None:
    group = Group("a", (Member("x", 0, ((0, 1), (2, 3))),))
    layout = layout_of([group], {"a": 3}, "x", 0, 4)
    assert layout is not None
    assert sorted(place for segment in layout.segments for place in segment.places) == [*range(6)]
    assert [len(segment.places) for segment in layout.segments] == [3, 3]


def test_baselines_take_whole_units() -> None:
    family, network = family_of(Attending)
    base = {name: value.detach() for name, value in network.named_parameters()}
    at = family.at(width=50)
    shapes = family.shapes(at)
    first = leading_channels(base, family, at, shapes)
    order = {group.name: torch.arange(len(group)) for group in family.groups}
    scores = {name: -units.float() for name, units in order.items()}
    top = keep_top(base, family.groups, scores, family.sizes(at))
    for name in family.generated:
        assert first[name].shape == shapes[name], name
        assert torch.equal(first[name], top[name]), name
    packed, heads = base["attention.in_proj_weight"], [*range(4), *range(8, 12), *range(16, 20)]
    assert torch.equal(first["attention.in_proj_weight"], packed[heads])


def test_a_running_attention_switches_to_fewer_heads_and_back() -> None:
    family, network = family_of(Attending)
    inputs = torch.randn(2, *family.input_spec["image_shape"])
    base = {name: value.detach() for name, value in network.named_parameters()}
    running, before = network, network(inputs).detach()
    for width in (50, 100):
        at = family.at(width=width)
        weights = {**base, **family.resample(base, at, "centre")}
        like = family.skeleton(at)
        require_member(running, family, like)
        switch(running, like, weights)
        made = load_parameters(family.skeleton(at), weights, assign=True)
        assert type(running.attention) is type(made.attention)
        assert torch.equal(running(inputs), made(inputs))
    assert torch.equal(running(inputs), before)


def test_the_numbers_that_a_program_draws_are_not_disturbed() -> None:
    torch.manual_seed(3)
    network, expected = Joined().eval(), torch.get_rng_state()
    settings: dict[str, Any] = {"name": "traced", "build": "own:test", "base_width": 100}
    settings |= {"min_width": 25, "max_width": 100}
    traced_family(settings, toy_dataset().input_spec(), network)
    assert torch.equal(torch.get_rng_state(), expected)


def test_a_plain_axis_needs_no_layout() -> None:
    group = Group.of_axes("a", [("x", 0)], 4)
    assert layout_of([group], {"a": 2}, "x", 0, 4) is None
    assert layout_of([group], {"a": 2}, "x", 1, 9) is None


@pytest.mark.parametrize("make", [Joined, Attending])
def test_every_width_is_generated_and_moved_by_whole_units(make: Callable[[], nn.Module]) -> None:
    family, network = family_of(make)
    base = {name: value.detach() for name, value in network.named_parameters()}
    whole = family.resample(base, family.base, "centre")
    assert all(torch.equal(whole[name], base[name]) for name in family.generated)
    for width in (25, 50, 77):
        at = family.at(width=width)
        weights = {**base, **family.resample(base, at, "centre")}
        made = load_parameters(family.skeleton(at), weights, assign=True)
        assert made(torch.zeros(2, *family.input_spec["image_shape"])).shape == (2, 3)
        specs = family.specs(at)
        jitter = ChannelJitter(specs, family.groups)
        assert jitter.total == sum(family.sizes(at).values())
        for spec in specs:
            places = jitter.places(spec)
            assert len(places) == spec.rows and int(places.max()) <= jitter.total


def test_what_a_channel_says_moves_alike_on_both_sides_of_a_flattening() -> None:
    family, _ = family_of(Joined)
    specs = {spec.name: spec for spec in family.specs(family.at(width=50))}
    jitter = ChannelJitter(tuple(specs.values()), family.groups)
    makes = jitter.places(specs["c.bias"])[:, 0]
    reads = jitter.places(specs["last.weight"])[: specs["last.weight"].in_size, 1]
    assert reads.tolist() == makes.repeat_interleave(4).tolist()
