"""Networks of other sizes: they compute what is left of the network, and are ordinary ones."""

import io
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from neumeta.models.traced.plan import first_units
from neumeta.models.traced.resize import resized
from tests.models.traced.resizing import at, one_step, outputs, planned, without
from tests.small_networks import Wrapped, linear, noise
from tests.tracing.test_kinds import cells, chain, conv, last_step, pooled


class Tied(nn.Module):
    """Words go in by a table, and out by the same one."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(9, 8), nn.Linear(8, 9, bias=False)
        self.out.weight = self.table.weight

    def forward(self, words: Tensor) -> Tensor:
        result: Tensor = self.out(torch.relu(self.table(words)))
        return result


class Twice(nn.Module):
    """One layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = linear((3, 8), (8, 2))
        self.again = self.first

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.last(torch.relu(self.first(inputs)) + self.again(inputs))
        return result


class Shifted(nn.Module):
    """With a buffer by unit."""

    def __init__(self, persistent: bool) -> None:
        super().__init__()
        self.first, self.last = linear((3, 8), (8, 2))
        self.shift: Tensor
        self.register_buffer("shift", noise(8), persistent=persistent)

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.last(torch.relu(self.first(inputs)) + self.shift)
        return result


def gated(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    result: Tensor = layers[1](F.glu(layers[0](inputs), dim=1))
    return result


def shuffled(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    left, right = layers[0](inputs).chunk(2, dim=1)
    mixed = torch.cat([left, layers[1](right)], dim=1)
    result: Tensor = layers[2](F.channel_shuffle(mixed, 2)).mean(dim=(2, 3))
    return result


def grouped(kind: type[nn.Module], inputs: int, outputs: int, groups: int) -> nn.Module:
    return kind(inputs, outputs, 3, padding=1, groups=groups)


def between(*layers: nn.Module, after: int = 8) -> tuple[Any, list[nn.Module], tuple[int, ...]]:
    return pooled, [conv(3, 8), *layers, conv(after, 2)], (3, 6, 6)


def old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and widely used
        return nn.utils.weight_norm(conv(8, 8))


def fitted(norm: nn.Module) -> nn.Module:
    """With statistics of its own."""
    norm.running_mean.uniform_(-1, 1)  # type: ignore[operator]
    norm.running_var.uniform_(0.5, 2)  # type: ignore[operator]
    return norm


# Layers, example, and attributes that half of the units give.
KINDS: dict[str, tuple[tuple[Any, list[nn.Module], tuple[int, ...]], dict[str, Any]]] = {
    "batch norm": (between(fitted(nn.BatchNorm2d(8))), {"1.num_features": 4}),
    "batch norm without weights": (
        between(fitted(nn.BatchNorm2d(8, affine=False))),
        {"1.num_features": 4},
    ),
    "batch norm without statistics": (
        between(nn.BatchNorm2d(8, track_running_stats=False)),
        {"1.num_features": 4},
    ),
    "batch norm with nothing": (
        between(nn.BatchNorm2d(8, affine=False, track_running_stats=False)),
        {"1.num_features": 4},
    ),
    "instance norm": (between(nn.InstanceNorm2d(8)), {"1.num_features": 4}),
    "instance norm with weights": (
        between(nn.InstanceNorm2d(8, affine=True)),
        {"1.num_features": 4},
    ),
    "groups of a norm": (
        between(nn.GroupNorm(4, 8)),
        {"1.num_groups": 2, "1.num_channels": 4, "0.out_channels": 4},
    ),
    "groups of a norm without weights": (
        between(nn.GroupNorm(4, 8, affine=False)),
        {"1.num_groups": 2, "1.num_channels": 4, "0.out_channels": 4},
    ),
    "rectified units with slopes": (between(nn.PReLU(8)), {"1.num_parameters": 4}),
    "depthwise": (
        between(grouped(nn.Conv2d, 8, 8, 8)),
        {"1.groups": 4, "1.in_channels": 4, "1.out_channels": 4, "2.in_channels": 4},
    ),
    "depthwise, two channels of each": (
        between(grouped(nn.Conv2d, 8, 16, 8), after=16),
        {"1.groups": 4, "1.in_channels": 4, "1.out_channels": 8, "2.in_channels": 8},
    ),
    "depthwise transposed": (
        between(grouped(nn.ConvTranspose2d, 8, 16, 8), after=16),
        {"1.groups": 4, "1.in_channels": 4, "1.out_channels": 8, "2.in_channels": 8},
    ),
    "groups of a convolution": (
        between(grouped(nn.Conv2d, 8, 12, 4), after=12),
        {"1.groups": 2, "1.in_channels": 4, "1.out_channels": 6, "2.in_channels": 6},
    ),
    "groups of a transposed convolution": (
        between(grouped(nn.ConvTranspose2d, 8, 12, 4), after=12),
        {"1.groups": 2, "1.in_channels": 4, "1.out_channels": 6, "2.in_channels": 6},
    ),
    "transposed": (
        between(grouped(nn.ConvTranspose2d, 8, 6, 1), after=6),
        {"1.in_channels": 4, "1.out_channels": 3},
    ),
    "shuffled pixels": (
        between(nn.PixelShuffle(2), after=2),
        {"0.out_channels": 4, "2.in_channels": 1},
    ),
    "unshuffled pixels": (between(nn.PixelUnshuffle(2), after=32), {"2.in_channels": 16}),
    "flattened": (
        (chain, [conv(3, 8), nn.Flatten(), nn.Linear(288, 2)], (3, 6, 6)),
        {"2.in_features": 144},
    ),
    "weight norm": (
        between(parametrizations.weight_norm(conv(8, 8))),
        {"0.out_channels": 4, "1.in_channels": 4, "1.out_channels": 4},
    ),
    "weight norm by hooks": (
        between(old_weight_norm()),
        {"0.out_channels": 4, "1.in_channels": 4, "1.out_channels": 4},
    ),
    "pruned": (
        between(prune.l1_unstructured(conv(8, 8), "weight", 0.3)),
        {"0.out_channels": 4, "1.in_channels": 4, "1.out_channels": 4},
    ),
    "gated by a half": (
        (gated, linear((3, 16), (8, 2)), (3,)),
        {"0.out_features": 8, "1.in_features": 4},
    ),
    "shuffled channels": (
        (shuffled, [conv(3, 8), conv(4, 4), conv(8, 2)], (3, 6, 6)),
        {},
    ),
    "bilinear": (
        (
            lambda layers, x: layers[2](layers[1](layers[0](x), layers[0](x))),
            [nn.Linear(3, 8), nn.Bilinear(8, 8, 6), nn.Linear(6, 2)],
            (3,),
        ),
        {"1.in1_features": 4, "1.in2_features": 4, "1.out_features": 3},
    ),
    "two layers of LSTM": (
        (last_step, [nn.LSTM(6, 8, 2, batch_first=True), nn.Linear(8, 2)], (4, 6)),
        {"0.hidden_size": 4, "1.in_features": 4},
    ),
    "LSTM both ways": (
        (
            last_step,
            [nn.LSTM(6, 8, batch_first=True, bidirectional=True), nn.Linear(16, 2)],
            (4, 6),
        ),
        {"0.hidden_size": 4, "1.in_features": 8},
    ),
    "LSTM projected": (
        (
            last_step,
            [nn.LSTM(6, 8, batch_first=True, proj_size=4), nn.Linear(4, 2)],
            (4, 6),
        ),
        {"0.hidden_size": 4, "0.proj_size": 2, "1.in_features": 2},
    ),
    "two layers of GRU": (
        (last_step, [nn.GRU(6, 8, 2, batch_first=True), nn.Linear(8, 2)], (4, 6)),
        {"0.hidden_size": 4},
    ),
    "RNN": (
        (last_step, [nn.RNN(6, 8, batch_first=True), nn.Linear(8, 2)], (4, 6)),
        {"0.hidden_size": 4},
    ),
    "LSTM cells": (
        (cells, [nn.LSTMCell(6, 8), nn.Linear(8, 2)], (2, 6)),
        {"0.hidden_size": 4, "0.input_size": 6},
    ),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_half_of_the_units(name: str) -> None:
    (run, layers, shape), attributes = KINDS[name]
    network, inputs = Wrapped(run, *layers), noise(2, *shape)
    plan = planned(network, inputs)
    kept = {group.name: list(range(len(group)))[1::2] for group in plan.groups}
    made = resized(network, plan.groups, kept)
    for attribute, value in attributes.items():
        layer, _, own = attribute.partition(".")
        assert getattr(made.layers[int(layer)], own) == value  # type: ignore[index]
    if "weight norm" not in name:  # the length of weights of zero is nothing to divide by
        expected = outputs(without(network, plan, kept), inputs)
        assert torch.allclose(outputs(made, inputs), expected, atol=1e-5)
    again = resized(network, plan.groups, kept)
    one_step(made, inputs)
    buffer = io.BytesIO()
    torch.save(made.state_dict(), buffer)
    buffer.seek(0)
    again.load_state_dict(torch.load(buffer), strict=True)
    assert torch.equal(outputs(again, inputs), outputs(made, inputs))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_all_units_and_more(name: str) -> None:
    (run, layers, shape), _ = KINDS[name]
    network, inputs = Wrapped(run, *layers), noise(2, *shape)
    plan = planned(network, inputs)
    assert plan.groups
    assert torch.equal(outputs(at(network, plan, 1), inputs), outputs(network, inputs))
    wide = at(network, plan, 1.5)
    assert outputs(wide, inputs).shape == (2, 2)
    size = sum(value.numel() for value in wide.parameters())
    assert size > sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize("norm", ["spectral", "spectral by hooks"])
def test_spectral_norm(norm: str) -> None:
    """Its vectors follow, and one step of it is one of an ordinary network of that size."""
    wrap = parametrizations.spectral_norm if norm == "spectral" else nn.utils.spectral_norm
    network, inputs = Wrapped(pooled, conv(3, 8), wrap(conv(8, 8)), conv(8, 2)), noise(2, 3, 6, 6)
    plan = planned(network, inputs)
    made = at(network, plan, 0.5)
    layer: Any = made.layers[1]  # type: ignore[index]
    assert (layer.in_channels, layer.out_channels) == (4, 4)
    fresh = Wrapped(pooled, conv(3, 4), wrap(conv(4, 4)), conv(4, 2))
    fresh.load_state_dict(made.state_dict(), strict=True)
    assert torch.allclose(outputs(fresh.eval(), inputs), outputs(made, inputs), atol=1e-6)
    one_step(made, inputs)


def test_one_norm_without_tensors_under_two_names() -> None:
    layers = [conv(3, 8), nn.InstanceNorm2d(8), nn.ReLU(), conv(8, 2)]
    network = Wrapped(lambda found, x: pooled(found[:4], x), *layers, layers[1])
    inputs = noise(2, 3, 6, 6)
    made: Any = at(network, planned(network, inputs), 0.5)
    assert made.layers[1] is made.layers[4] and made.layers[1].num_features == 4


def test_tied_weights_stay_tied() -> None:
    network = Tied()
    words = torch.tensor([[1, 2, 3], [4, 5, 6]])
    plan = planned(network, words)
    kept = {group.name: [1, 3, 6] for group in plan.groups}
    made: Any = resized(network, plan.groups, kept)
    assert made.out.weight is made.table.weight
    assert (made.table.embedding_dim, made.out.in_features) == (3, 3)
    assert torch.allclose(outputs(made, words), outputs(without(network, plan, kept), words))
    one_step(made, words)


def test_one_layer_under_two_names() -> None:
    network, inputs = Twice(), noise(2, 3)
    plan = planned(network, inputs)
    kept = {group.name: [1, 3, 6] for group in plan.groups}
    made: Any = resized(network, plan.groups, kept)
    assert made.again is made.first and made.first.out_features == 3
    assert torch.allclose(
        outputs(made, inputs), outputs(without(network, plan, kept), inputs), atol=1e-6
    )


@pytest.mark.parametrize("persistent", [True, False])
def test_buffers_stay_what_they_are(persistent: bool) -> None:
    network = Shifted(persistent)
    plan, inputs = planned(network, noise(2, 3)), noise(2, 3)
    made = at(network, plan, 0.5)
    assert ("shift" in made.state_dict()) == persistent
    assert [len(group) for group in plan.groups] == ([8] if persistent else [])
    assert outputs(made, inputs).shape == (2, 2)


def test_norm_without_weights_before_attention_of_units() -> None:
    """What is normalised over units depends on their number: shapes follow, values need not."""
    network = Wrapped(
        chain, nn.Linear(3, 8), nn.LayerNorm(8, elementwise_affine=False), nn.Linear(8, 2)
    )
    plan = planned(network, noise(2, 3))
    made = at(network, plan, 0.5)
    fresh = Wrapped(
        chain, nn.Linear(3, 4), nn.LayerNorm(4, elementwise_affine=False), nn.Linear(4, 2)
    ).eval()
    fresh.load_state_dict(made.state_dict(), strict=True)
    assert made.layers[1].normalized_shape == (4,)  # type: ignore[index, union-attr]
    assert torch.equal(outputs(fresh, noise(2, 3)), outputs(made, noise(2, 3)))
    assert [group.name for group in plan.groups] == ["layers.0"]


def test_layers_of_one_recurrence_have_one_size() -> None:
    network = Wrapped(last_step, nn.LSTM(6, 8, 2, batch_first=True), nn.Linear(8, 2))
    plan = planned(network, noise(2, 4, 6))
    first, second = plan.groups
    with pytest.raises(ValueError, match=r"directions of an nn\.LSTM have one hidden"):
        resized(network, plan.groups, first_units({first.name: 4, second.name: 8}, plan.groups))


def test_a_network_on_the_meta_device() -> None:
    network = Wrapped(pooled, conv(3, 8), nn.BatchNorm2d(8), conv(8, 2))
    plan = planned(network, noise(2, 3, 6, 6))
    made = at(network.to("meta"), plan, 0.5)
    assert made.layers[0].weight.shape == (4, 3, 3, 3)  # type: ignore[index, union-attr]
    assert all(value.is_meta for value in made.parameters())
