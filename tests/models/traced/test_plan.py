"""What of a network changes its size, by how much, and why the rest does not."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.traced.plan import Held, Scope, rounded
from neumeta.models.traced.resize import resized
from tests.models.traced.resizing import at, one_step, outputs, planned, without
from tests.small_networks import Wrapped, linear, noise
from tests.tracing.test_kinds import chain, conv


class Residual(nn.Module):
    """Two branches beside a stream, whose width the module keeps as a number."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden_dim = 8
        self.stem, self.head = conv(3, 8), nn.Linear(8, 2)
        self.up, self.down = conv(8, 12), conv(12, 8)

    def forward(self, inputs: Tensor) -> Tensor:
        stream = self.stem(inputs)
        stream = stream + self.down(torch.relu(self.up(stream)))
        result: Tensor = self.head(stream.reshape(len(inputs), self.hidden_dim, -1).mean(dim=2))
        return result


class Split(nn.Module):
    """Parts of an input, each through its own convolution; their sizes are kept in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {"0": nn.Conv2d(8, 8, 3, padding=1, groups=8), "1": nn.Conv2d(4, 4, 1)}
        )
        self.parts.splits = [8, 4]  # type: ignore[assignment]
        self.stem, self.last = conv(3, 12), conv(12, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        parts = self.stem(inputs).split(self.parts.splits, dim=1)
        joint = torch.cat(
            [conv(part) for conv, part in zip(self.parts.values(), parts, strict=True)], 1
        )
        result: Tensor = self.last(torch.relu(joint)).mean(dim=(2, 3))
        return result


def halves_added(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    """Two groups of a convolution, added up channel by channel."""
    hidden = torch.relu(layers[1](layers[0](inputs)))
    joint = hidden.unflatten(1, (2, -1)).sum(dim=1)
    result: Tensor = layers[2](joint).mean(dim=(2, 3))
    return result


def joined(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    joint = torch.cat([layers[0](inputs), layers[1](inputs)], dim=1)
    result: Tensor = layers[3](torch.relu(layers[2](joint))).mean(dim=(2, 3))
    return result


def squared_up(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    """Its code knows that there are eight units."""
    result: Tensor = layers[1](torch.relu(layers[0](inputs)).view(-1, 8))
    return result


def grouped(inputs: int, outputs: int, groups: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups)


def half_equals_zeros(network: nn.Module, *examples: Any) -> tuple[Any, list[tuple[str, int]]]:
    """Every second unit of all groups: what is left computes what it did."""
    plan = planned(network, *examples)
    kept = {group.name: list(range(len(group)))[1::2] for group in plan.groups}
    made = resized(network, plan.groups, kept)
    expected = outputs(without(network, plan, kept), *examples)
    assert torch.allclose(outputs(made, *examples), expected, atol=1e-5)
    one_step(made, *examples)
    assert outputs(at(network, plan, 1.5), *examples).shape == expected.shape
    return made, [(group.name, len(group)) for group in plan.groups]


def test_channels_within_the_groups_of_a_convolution() -> None:
    network = Wrapped(halves_added, conv(3, 8), grouped(8, 12, 2), conv(6, 2))
    made, groups = half_equals_zeros(network, noise(2, 3, 6, 6))
    layer = made.layers[1]
    assert (layer.groups, layer.out_channels, layer.in_channels) == (2, 6, 4)
    assert sorted(size for _, size in groups) == [4, 6]


def test_depthwise_after_a_concatenation() -> None:
    network = Wrapped(joined, conv(3, 8), conv(3, 4), grouped(12, 12, 12), conv(12, 2))
    made, groups = half_equals_zeros(network, noise(2, 3, 6, 6))
    layer = made.layers[2]
    assert (layer.groups, layer.out_channels, layer.in_channels) == (6, 6, 6)
    assert [size for _, size in groups] == [8, 4]


def test_sizes_of_splits_follow() -> None:
    made, groups = half_equals_zeros(Split(), noise(2, 3, 6, 6))
    assert made.parts.splits == [4, 2] and [size for _, size in groups] == [8, 4, 4]


def test_streams_stay_unless_they_are_asked_for() -> None:
    network, inputs = Residual(), noise(2, 3, 6, 6)
    plan = planned(network, inputs, scope=Scope())
    assert [group.name for group in plan.groups] == ["up"]
    assert [group.name for group in plan.streams] == ["stem"]
    assert Held("stem", 8, "is a residual stream") in plan.held
    made, groups = half_equals_zeros(network, inputs)
    assert groups == [("stem", 8), ("up", 12)] and made.hidden_dim == 4


def test_groups_of_a_norm_are_no_heads() -> None:
    """Though the module beside them has as many heads, which a run alone would not show."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.num_heads = 4
            self.up, self.norm, self.down = conv(3, 8), nn.GroupNorm(4, 8), conv(8, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            joint = self.down(torch.relu(self.norm(self.up(inputs))))
            result: Tensor = joint.flatten(1).unflatten(1, (self.num_heads, -1)).mean(dim=2)
            return result

    network: Any = Both()
    inputs = noise(2, 3, 6, 6)
    made, groups = half_equals_zeros(network, inputs)
    assert [size for _, size in groups] == [4]
    assert (made.num_heads, made.norm.num_groups) == (4, 2)


def test_a_scope() -> None:
    network, inputs = Wrapped(chain, *linear((3, 8), (8, 8), (8, 2))), noise(2, 3)
    plan = planned(network, inputs, scope=Scope(("layers.1",)))
    assert [group.name for group in plan.groups] == ["layers.1"]
    assert Held("layers.0", 8, "is outside the scope") in plan.held
    with pytest.raises(UserError) as error:
        planned(network, inputs, scope=Scope(("layer.1",)))
    assert str(error.value) == (
        "scope 'layer.1' fits no group of this network; it has 2, such as 'layers.1', 'layers.0'"
    )


def test_code_that_asks_for_a_size_is_named() -> None:
    network = Wrapped(squared_up, *linear((3, 8), (8, 2)))
    plan = planned(network, noise(2, 3))
    assert plan.groups == ()
    (held,) = [held for held in plan.held if held.name == "layers.0"]
    start = "the code of the network asks for this size, at traced/test_plan.py:"
    assert held.size == 8 and held.reason.startswith(start)
    assert plan.sizes(0.5) == {}


def test_one_group_that_cannot_go_holds_no_other() -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        return squared_up(nn.ModuleList([layers[0], layers[1]]), F.relu(layers[2](inputs)))

    network = Wrapped(run, *linear((7, 8), (8, 2), (3, 7)))
    plan = planned(network, noise(2, 3))
    assert [group.name for group in plan.groups] == ["layers.0 axis 1"]


def test_halves_of_a_sum_of_groups_have_no_size_of_their_own() -> None:
    """Two groups side by side, cut in halves: it runs where their sum is even, at some widths."""

    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        joint = torch.cat([layers[0](inputs), layers[1](inputs)], dim=1)
        joint = joint.view(len(joint), 2, joint.shape[1] // 2).transpose(1, 2).flatten(1)
        result: Tensor = layers[2](torch.relu(joint))
        return result

    for first, second in ((12, 46), (10, 22), (24, 34), (58, 48), (116, 94), (20, 52)):
        network = Wrapped(run, *linear((3, first), (3, second), (first + second, 2)))
        plan = planned(network, noise(2, 3))
        for share in (0.5, 0.77, 0.3, 0.9, 0.62):
            assert outputs(at(network, plan, share), noise(2, 3)).shape == (2, 2)


@pytest.mark.parametrize(
    ("units", "share", "multiple", "wanted"),
    [
        (100, 0.77, 1, 77),
        (10, 0.25, 1, 3),
        (64, 0.3, 8, 16),
        (64, 0.01, 8, 8),
        (8, 0.5, 8, 8),
        (60, 1.0, 8, 60),
        (64, 1.5, 8, 96),
        (3, 0.1, 1, 1),
    ],
)
def test_rounding(units: int, share: float, multiple: int, wanted: int) -> None:
    assert rounded(units, share, multiple) == wanted


def test_widths_by_pattern() -> None:
    network = Wrapped(chain, *linear((3, 8), (8, 8), (8, 2)))
    plan = planned(network, noise(2, 3))
    assert plan.sizes({"layers.1": 0.5}) == {"layers.0": 8, "layers.1": 4}
    assert plan.sizes({"layers.1": 0.5, "*": 0.25}) == {"layers.0": 2, "layers.1": 4}
    for widths, said in (
        ({"layer3.*": 0.5}, r"width of 'layer3\.\*': no group that changes has such a name"),
        ({"*": 0.0}, "width 0.0 must be a share of the channels, above 0"),
        ({"*": 5.0}, "width 5.0 must be a share of the channels, above 0"),
    ):
        with pytest.raises(UserError, match=said):
            plan.sizes(widths)
