"""Shrinking networks of every kind of layer: what is redundant goes without a loss."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import neumeta
from neumeta.core.errors import UserError
from neumeta.models.shrink.shrink import Shrinker, shrink
from tests.small_networks import Wrapped, noise

EXACT = 1e-5


def double(layer: Any, axis: int) -> None:
    """Let the second half of what a layer gives be three times the first half."""
    with torch.no_grad():
        for name, value in layer.named_parameters():
            along = axis if name == "weight" and value.ndim > 1 else 0
            first, second = value.chunk(2, dim=along)
            second.copy_(3 * first)


def seeded(make: Callable[[], nn.Module]) -> Any:
    """A network with weights from one seed, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()


def chain(first: nn.Module, second: nn.Module, between: nn.Module | None = None) -> nn.Module:
    """Two layers, with what passes their channels on between them, and a last one."""
    return nn.Sequential(first, between or nn.Identity(), second)


DENSE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "linear": (lambda: chain(nn.Linear(5, 8), nn.Linear(8, 3)), (64, 5), 0),
    "tokens": (lambda: chain(nn.Linear(5, 8), nn.Linear(8, 3)), (32, 4, 5), 0),
    "conv1d": (lambda: chain(nn.Conv1d(3, 8, 3), nn.Conv1d(8, 4, 3)), (32, 3, 12), 0),
    "conv2d": (lambda: chain(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3, stride=2)), (16, 3, 9, 9), 0),
    "conv3d": (lambda: chain(nn.Conv3d(2, 8, 2), nn.Conv3d(8, 4, 2)), (16, 2, 5, 5, 5), 0),
    "dilated": (
        lambda: chain(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 3, dilation=(2, 1))),
        (16, 3, 9, 8),
        0,
    ),
    "transposed": (
        lambda: chain(nn.ConvTranspose2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 3)),
        (16, 3, 6, 6),
        1,
    ),
    "no bias": (
        lambda: chain(nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 4, 3, bias=False)),
        (16, 3, 8, 8),
        0,
    ),
    "flattened": (
        lambda: chain(nn.Conv2d(3, 8, 3), nn.Linear(8 * 9, 4), nn.Flatten()),
        (96, 3, 5, 5),
        0,
    ),
}


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("name", DENSE)
def test_redundant_channels_go_without_a_loss(name: str, refit: bool) -> None:
    make, shape, axis = DENSE[name]
    network = seeded(make)
    double(network.get_submodule("0"), axis)
    images = noise(*shape)
    before = copy.deepcopy(network.state_dict())
    found = shrink(network, images, 0.5, augment=False, refit=refit)
    assert list(found.sizes.values()) == [4]
    assert [group.merged for group in found.groups] == [("2",)]
    wanted = network(images)
    assert (found.network(images) - wanted).abs().max() <= EXACT * wanted.abs().max()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not network.training and next(found.network.parameters()).requires_grad


class Separable(nn.Module):
    """Depthwise channels with a gate, as in MobileNet and EfficientNet, BatchNorms between."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.bn1 = nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.depth, self.bn2 = nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.BatchNorm2d(8)
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.project, self.bn3 = nn.Conv2d(8, 4, 1, bias=False), nn.BatchNorm2d(4)

    def forward(self, inputs: Tensor) -> Tensor:
        inner = F.relu(self.bn2(self.depth(F.relu(self.bn1(self.expand(inputs))))))
        gate = self.excite(F.relu(self.squeeze(inner.mean((2, 3), keepdim=True)))).sigmoid()
        result: Tensor = self.bn3(self.project(inner * gate))
        return result.flatten(1)


def test_channels_pass_through_depthwise_layers_and_gates() -> None:
    network = seeded(Separable)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if not name.startswith(("squeeze", "project", "bn3")) and len(value) == 8:
                value[4:] = value[:4]
    images = noise(40, 3, 7, 7)
    found = shrink(network, images, {"expand": 0.5}, augment=False, refit=False, statistics=False)
    assert found.sizes["expand"] == 4
    merged = next(group.merged for group in found.groups if group.name == "expand")
    assert set(merged) == {"squeeze", "project"}
    assert found.network.get_submodule("depth").groups == 4
    wanted = network(images)
    assert (found.network(images) - wanted).abs().max() <= EXACT * wanted.abs().max()


class Attention(nn.Module):
    """Heads of attention, their outputs side by side before the projection."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.head_dim = 4, 2
        self.qkv, self.proj = nn.Linear(6, 24), nn.Linear(8, 6)

    def forward(self, inputs: Tensor) -> Tensor:
        n, tokens, _ = inputs.shape
        parts = self.qkv(inputs).reshape(n, tokens, 3, self.num_heads, self.head_dim)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        result: Tensor = self.proj(heads.reshape(n, tokens, -1))
        return result


def test_heads_go_as_a_whole() -> None:
    network = seeded(Attention)
    with torch.no_grad():
        for value in (network.qkv.weight, network.qkv.bias):
            heads = value.view(3, 4, 2, *value.shape[1:])
            heads[:, 2:] = heads[:, :2]
    images = noise(40, 5, 6)
    found = shrink(network, images, 0.5, augment=False)
    (group,) = (group for group in found.groups if group.size == 4)
    assert len(group.kept) == 2 and group.merged == ("proj",)
    wanted = network(images)
    assert (found.network(images) - wanted).abs().max() <= EXACT * wanted.abs().max()


def blocks() -> nn.Module:
    """A small network with BatchNorm, and one with LayerNorm after it."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 36, 10),
        nn.ReLU(),
        nn.Linear(10, 4),
    )


def distance(network: nn.Module, other: nn.Module, images: Tensor) -> float:
    """Mean square difference of outputs as a share of their variance."""
    with torch.no_grad():
        wanted, found = network(images), other(images)
    return float((found - wanted).square().mean() / wanted.var())


def test_each_step_brings_the_network_nearer() -> None:
    network, images, fresh = seeded(blocks), noise(400, 3, 6, 6), noise(500, 3, 6, 6)[400:]
    far = [
        distance(network, shrink(network, images, 0.5, **how).network, fresh)
        for how in ({"method": "l1"}, {"refit": False}, {})
    ]
    assert far[0] > 1.2 * far[1] > 1.2 * 1.2 * far[2]


def test_statistics_are_relative_to_the_base() -> None:
    """Measured on other images than the training saw, they change nothing where nothing changed."""
    network, images = seeded(blocks), 5 + 2 * noise(50, 3, 6, 6)
    found = shrink(network, images, 1.0)
    assert distance(network, found.network, images) < 1e-9
    mean = found.network.get_buffer("1.running_mean")
    assert torch.allclose(mean, torch.zeros(12), atol=1e-6)


def test_statistics_follow_where_channels_are_left_out() -> None:
    def means(statistics: bool) -> Tensor:
        network = seeded(
            lambda: nn.Sequential(
                nn.Conv2d(3, 8, 3, bias=False),
                nn.ReLU(),
                nn.Conv2d(8, 4, 3, bias=False),
                nn.BatchNorm2d(4),
                nn.ReLU(),
            )
        )
        with torch.no_grad():  # what the training would have left
            inner = network[:3](images)
            network[3].running_mean.copy_(inner.mean((0, 2, 3)))
            network[3].running_var.copy_(inner.var((0, 2, 3)))
        found = shrink(
            network, images, 0.5, method="l1", statistics=statistics, augment=False, batch_size=64
        )
        with torch.no_grad():
            whole: Any = found.network
            made: Tensor = whole[:4](images)
        return made.mean((0, 2, 3))

    images = noise(64, 3, 8, 8)
    assert means(statistics=True).abs().max() < 1e-4
    assert means(statistics=False).abs().max() > 0.1


def test_one_preparation_serves_many_widths() -> None:
    network, images = seeded(blocks), noise(60, 3, 6, 6)
    prepared = Shrinker.prepare(network, images)
    for width in (0.5, 0.75, 0.5):
        again = shrink(network, images, width).network.state_dict()
        found = prepared.at(width).network.state_dict()
        assert all(torch.equal(value, again[name]) for name, value in found.items())


def test_loaders_pairs_and_calls() -> None:
    network, images = seeded(blocks), noise(60, 3, 6, 6)
    parts = images.split(20)
    plain = shrink(network, parts, 0.5, augment=False)
    pairs = shrink(network, [(part, torch.zeros(20)) for part in parts], 0.5, augment=False)
    named = shrink(
        network,
        [{"pixels": part} for part in parts],
        0.5,
        augment=False,
        call=lambda net, batch: net(batch["pixels"]),
    )
    for other in (pairs, named):
        assert distance(plain.network, other.network, images) < 1e-9


def test_a_reader_that_is_no_module_leaves_channels_out() -> None:
    network = seeded(
        lambda: Wrapped(
            lambda layers, x: F.linear(torch.relu(layers[0](x)), layers[1].weight),
            nn.Linear(5, 8),
            nn.Linear(8, 3, bias=False),
        )
    )
    found = shrink(network, noise(32, 5), 0.5)
    (group,) = found.groups
    assert (group.merged, group.lost, len(group.kept)) == ((), None, 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"widths": 0.0}, "above 0"),
        ({"widths": 1.5}, "only shrink"),
        ({"widths": {"nothing": 0.5}}, "no group"),
        ({"images": torch.zeros(0, 3, 6, 6)}, "no images"),
        ({"images": []}, "no images"),
        ({"images": noise(4, 2, 6, 6)}, "does not take these images"),
        ({"images": 3}, "must be a tensor or a loader"),
        ({"images": ["a"]}, "without a tensor"),
        ({"network": 3}, "torch.nn.Module"),
        ({"method": "best"}, "'best' is unknown"),
        ({"count": 0}, "count is 0"),
        ({"device": "tpu"}, "device is 'tpu'"),
    ],
)
def test_mistakes_are_told_in_one_line(change: dict[str, Any], words: str) -> None:
    given = {"network": seeded(blocks), "images": noise(8, 3, 6, 6), "widths": 0.5, **change}
    with pytest.raises(UserError, match=words) as error:
        neumeta.shrink(given.pop("network"), given.pop("images"), given.pop("widths"), **given)
    assert "\n" not in str(error.value)


def test_nothing_to_shrink() -> None:
    with pytest.raises(UserError, match="no group of channels"):
        shrink(nn.Linear(3, 2).eval(), noise(8, 3), 0.5)
