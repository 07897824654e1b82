"""Clique groups of any network: complete, and exact for every kind of layer."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from neumeta.core.errors import UserError
from neumeta.data.torchvision_door import models
from neumeta.models.cifar_resnet import CifarResNet
from neumeta.models.lenet import LeNet
from neumeta.tracing.cliques import Cliques
from neumeta.tracing.groups import Group
from neumeta.tracing.trace import trace_cliques

# Many more are traced by `python -m tests.forty_networks`; the transformers here are small ones.
TORCHVISION: dict[str, tuple[int, dict[str, Any]]] = {
    "resnet18": (64, {}),
    "vgg11_bn": (32, {}),
    "mobilenet_v2": (64, {}),
    "densenet121": (64, {}),
    "efficientnet_b0": (64, {}),
    "convnext_tiny": (64, {}),
    "SwinTransformer": (
        64,
        {
            "patch_size": [4, 4],
            "embed_dim": 24,
            "depths": [1, 1, 2, 1],
            "num_heads": [1, 2, 4, 8],
            "window_size": [7, 7],
        },
    ),
    "VisionTransformer": (
        64,
        {
            "image_size": 64,
            "patch_size": 16,
            "num_layers": 2,
            "num_heads": 4,
            "hidden_dim": 64,
            "mlp_dim": 128,
        },
    ),
    "resnext50_32x4d": (64, {}),
    "shufflenet_v2_x1_0": (64, {}),
}


def randomise(network: nn.Module) -> None:
    """Weights and running statistics that are no accident of an initialisation."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        if "running_var" in name or (value.ndim == 1 and "weight" in name):
            value.uniform_(0.5, 1.5, generator=generator)
        elif value.ndim == 1 or value.min() == value.max():
            value.normal_(0, 0.1, generator=generator)


def shuffled(network: nn.Module, groups: tuple[Group, ...]) -> dict[str, Tensor]:
    """State of a network with every group in a random order."""
    generator = torch.Generator().manual_seed(1)
    state = dict(network.state_dict())
    for group in groups:
        order = torch.randperm(len(group), generator=generator)
        for member in group.members:
            places = torch.tensor(member.places)
            index = torch.arange(state[member.tensor].shape[member.axis])
            index[places.flatten()] = places[order].flatten()
            state[member.tensor] = state[member.tensor].index_select(member.axis, index)
    return state


def check(network: nn.Module, *inputs: Tensor) -> Cliques:
    """Shuffle all groups; the function stays, and every axis is in a group or pinned."""
    network.eval()
    randomise(network)
    cliques = trace_cliques(network, *inputs)
    state = shuffled(network, cliques.groups)
    with torch.no_grad():
        before, after = network(*inputs), functional_call(network, state, inputs)
    assert (after - before).abs().max() <= 1e-4 * before.abs().max()
    assert before.std() > 0
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, state[n])}
    assert changed == {m.tensor for g in cliques.groups for m in g.members}
    covered: dict[tuple[str, int], int] = {}
    for group in cliques.groups:
        if group.level == "channel":
            for member in group.members:
                key = member.tensor, member.axis
                covered[key] = covered.get(key, 0) + sum(map(len, member.places))
    for pinned in cliques.pinned:
        key = pinned.tensor, pinned.axis
        covered[key] = covered.get(key, 0) + pinned.places
    assert covered == {
        (name, axis): size
        for name, value in network.state_dict().items()
        if value.is_floating_point()
        for axis, size in enumerate(value.shape)
        if size > 1
    }
    return cliques


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_torchvision(name: str) -> None:
    side, sizes = TORCHVISION[name]
    network = getattr(models, name)(**sizes)
    if name == "vgg11_bn":  # nothing but time depends on its 4,096 hidden units
        network.classifier[0] = nn.Linear(512 * 7 * 7, 64)
        network.classifier[3] = nn.Linear(64, 64)
        network.classifier[6] = nn.Linear(64, 1000)
    inputs = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    cliques = check(network, inputs)
    outputs = {p.tensor for p in cliques.pinned if p.reason == "is an output of the network"}
    assert len(outputs) == 2  # weight and bias of the last layer


def test_resnet_of_cifar_has_its_streams_nested() -> None:
    """Option A: the 16 channels of the first stream are 16 of the 32, and those are 32 of 64."""
    network = CifarResNet([16] * 3 + [32] * 3 + [64] * 3, in_channels=3, classes=10, norm=True)
    cliques = check(network, torch.randn(2, 3, 32, 32))
    sizes = {group.name: len(group) for group in cliques.groups}
    assert len(sizes) == 12 and sizes["conv1"] == 16
    stream = next(g for g in cliques.groups if g.name == "conv1")
    found = {(m.tensor, m.axis): [place for (place,) in m.places] for m in stream.members}
    assert found["layer2.0.conv2.weight", 0] == list(range(8, 24))
    assert found["linear.weight", 1] == list(range(24, 40))
    assert sorted(sizes.values()) == [16] * 5 + [32] * 4 + [64] * 3


@pytest.mark.parametrize("head", ["pooled", "corner"])
def test_lenet(head: Any) -> None:
    cliques = check(LeNet(4, in_channels=1, classes=3, head=head), torch.randn(2, 1, 8, 8))
    assert [len(group) for group in cliques.groups] == [4, 8, 16]


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU(), nn.Flatten())
        self.mean, self.spread = nn.Linear(6 * 16, 5), nn.Linear(6 * 16, 5)
        self.decode = nn.Linear(5, 7 * 16)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(7, 8, 4, 2, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 3, 1, 1),
        )

    def forward(self, inputs: Tensor, noise: Tensor) -> Tensor:
        code = self.encode(inputs)
        drawn = self.mean(code) + noise * torch.exp(0.5 * self.spread(code))
        return torch.sigmoid(self.up(self.decode(drawn).view(-1, 7, 4, 4)))


def test_vae_with_flatten_and_transposed_convolutions() -> None:
    cliques = check(Vae(), torch.randn(2, 1, 8, 8), torch.randn(2, 1))
    groups = {group.name: group for group in cliques.groups}
    assert {name: len(group) for name, group in groups.items()} == {
        "encode.0": 6,
        "mean": 5,
        "decode": 7,
        "up.0 axis 1": 8,
    }
    (flat,) = [m for m in groups["encode.0"].members if m.tensor == "mean.weight"]
    assert flat.places[2] == tuple(range(32, 48))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 6, 3, 2, 1)
        self.up = nn.ConvTranspose2d(6, 5, 2, 2)
        self.last, self.norm = nn.Conv2d(9, 3, 3, 1, 1), nn.GroupNorm(3, 9)

    def forward(self, inputs: Tensor) -> Tensor:
        high = F.relu(self.first(inputs))
        low = F.relu(self.second(high))
        wide = F.interpolate(self.up(low), scale_factor=1.0, mode="nearest")
        return self.last(self.norm(torch.cat([high, wide], dim=1)))


def test_unet_with_concatenation_and_group_norm() -> None:
    sizes = {g.name: len(g) for g in check(UNet(), torch.randn(2, 3, 8, 8)).groups}
    # Groups of the norm: 0 to 2 of first; 3 of first with 0 and 1 of up; 2 to 4 of up.
    assert sizes == {"first": 3, "second": 6, "up axis 1": 2, "up axis 1 from 2": 3}


class Gated(nn.Module):
    """Halves of one axis that are used in different ways cannot be mixed."""

    def __init__(self, product: bool) -> None:
        super().__init__()
        self.product = product
        self.first, self.last = nn.Linear(3, 8), nn.Linear(4 if product else 8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        left, right = self.first(inputs).chunk(2, dim=1)
        if self.product:
            return self.last(torch.tanh(left) * right)
        return self.last(torch.cat([torch.tanh(left), torch.relu(right)], dim=1))


@pytest.mark.parametrize(("product", "sizes"), [(True, [4]), (False, [4, 4])])
def test_halves(product: bool, sizes: list[int]) -> None:
    assert [len(g) for g in check(Gated(product), torch.randn(5, 3)).groups] == sizes


class Wrapped(nn.Module):
    """Layers given as a list, and what to do between them."""

    def __init__(self, run: Any, *layers: nn.Module) -> None:
        super().__init__()
        self.run, self.layers = run, nn.ModuleList(layers)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.run(self.layers, *inputs)


def chain(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    for layer in layers:
        inputs = layer(inputs)
    return inputs


def image(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    return chain(layers, inputs).mean(dim=(2, 3))


def shared(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    first, middle, last = layers
    return last(middle(F.relu(middle(first(inputs)))))


def recurrent(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    first, middle, last = layers
    return last(middle(first(inputs))[0][:, -1])


def tokens(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    table, block, last = layers
    return last(block(table((100 * inputs).long().abs() % 10)).mean(dim=1))


def einsum(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    first, second, last = layers
    return last(torch.einsum("bi,bj->bij", first(inputs), second(inputs)).flatten(1))


def conv(inputs: int, outputs: int, groups: int = 1) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, groups=groups)


SMALL: dict[str, tuple[Any, list[nn.Module], tuple[int, ...], dict[int, int] | None]] = {
    "depthwise": (image, [conv(3, 6), conv(6, 6, groups=6), conv(6, 4)], (3, 5, 5), {6: 1}),
    "widening depthwise": (image, [conv(3, 4), conv(4, 8, groups=4), conv(8, 2)], (3, 5, 5), None),
    "grouped": (image, [conv(3, 8), conv(8, 6, groups=2), conv(6, 2)], (3, 5, 5), None),
    "grouped transposed": (
        image,
        [conv(3, 8), nn.ConvTranspose2d(8, 6, 2, 2, groups=2), conv(6, 2)],
        (3, 5, 5),
        None,
    ),
    "depthwise transposed": (
        image,
        [conv(3, 6), nn.ConvTranspose2d(6, 6, 2, 2, groups=6), conv(6, 2)],
        (3, 5, 5),
        {6: 1},
    ),
    "one-dimensional": (
        chain,
        [nn.Conv1d(2, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 5, 2)],
        (2, 7),
        {6: 1},
    ),
    "three-dimensional": (
        chain,
        [nn.Conv3d(1, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(5, 2)],
        (1, 3, 3, 3),
        {5: 1},
    ),
    "instance norm": (
        image,
        [conv(3, 6), nn.InstanceNorm2d(6, affine=True), conv(6, 2)],
        (3, 5, 5),
        None,
    ),
    "group norm of single channels": (
        image,
        [conv(3, 6), nn.GroupNorm(6, 6), conv(6, 2)],
        (3, 5, 5),
        {6: 1},
    ),
    "group norm of all channels": (
        image,
        [conv(3, 6), nn.GroupNorm(1, 6), conv(6, 2)],
        (3, 5, 5),
        {6: 1},
    ),
    "local response": (image, [conv(3, 6), nn.LocalResponseNorm(3), conv(6, 2)], (3, 5, 5), None),
    "pixel shuffle": (image, [conv(3, 8), nn.PixelShuffle(2), conv(2, 3)], (3, 4, 4), {2: 1}),
    "pixel unshuffle": (image, [conv(3, 4), nn.PixelUnshuffle(2), conv(16, 3)], (3, 4, 4), {4: 1}),
    "channel shuffle": (image, [conv(3, 8), nn.ChannelShuffle(2), conv(8, 2)], (3, 4, 4), {8: 1}),
    "gated": (chain, [nn.Linear(3, 12), nn.GLU(), nn.Linear(6, 2)], (3,), {6: 1}),
    "prelu": (image, [conv(3, 6), nn.PReLU(6), conv(6, 2)], (3, 5, 5), {6: 1}),
    "max pooling": (image, [conv(3, 6), nn.MaxPool2d(2), conv(6, 2)], (3, 6, 6), {6: 1}),
    "layer norm of images": (
        chain,
        [conv(3, 6), nn.LayerNorm([6, 4, 4]), nn.Flatten(), nn.Linear(96, 2)],
        (3, 4, 4),
        {6: 1},
    ),
    "a layer used twice": (
        shared,
        [nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 2)],
        (3,),
        {6: 1},
    ),
    "lstm": (
        recurrent,
        [nn.Linear(3, 4), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)],
        (6, 3),
        {4: 1, 5: 1},
    ),
    "gru": (
        recurrent,
        [nn.Linear(3, 4), nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)],
        (6, 3),
        {4: 1, 5: 1},
    ),
    "embedding": (
        tokens,
        [
            nn.Embedding(10, 8),
            nn.TransformerEncoderLayer(8, 2, 12, batch_first=True),
            nn.Linear(8, 2),
        ],
        (7,),
        {8: 1, 12: 1},
    ),
    "outer product": (einsum, [nn.Linear(3, 4), nn.Linear(3, 5), nn.Linear(20, 2)], (3,), None),
}


@pytest.mark.parametrize("name", SMALL)
def test_kinds_of_layers(name: str) -> None:
    """Whatever is found keeps the function; what must be found is."""
    run, layers, shape, wanted = SMALL[name]
    inputs = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    cliques = check(Wrapped(run, *layers), inputs)
    sizes = [len(group) for group in cliques.groups]
    for size, count in (wanted or {}).items():
        assert sizes.count(size) == count, sizes
    assert cliques.pinned


class Prompted(nn.Module):
    """Learned tokens before those of the input, then attention that looks back, or all around."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.prompt = nn.Parameter(torch.randn(4, 6))
        self.embed, self.last = nn.Linear(2, 6), nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = torch.cat([self.prompt.expand(len(inputs), 4, 6), self.embed(inputs)], dim=1)
        for _ in range(2):
            tokens = tokens + F.scaled_dot_product_attention(
                tokens, tokens, tokens, is_causal=self.causal
            )
        return self.last(tokens.mean(dim=1))


@pytest.mark.parametrize(("causal", "sizes"), [(False, [4, 6]), (True, [6])])
def test_a_sequence_has_an_order_where_attention_looks_back(causal: bool, sizes: list[int]) -> None:
    assert sorted(map(len, check(Prompted(causal), torch.randn(2, 5, 2)).groups)) == sizes


class Cut(nn.Module):
    """What the rules get wrong: places of one unit that are used in several ways."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        sizes = {"flattened": (3, 2), "rolled": (3, 3), "padded": (3, 2), "repeated": (3, 2)}
        self.first = nn.Conv1d(3, 3, 2, 1) if kind == "flattened" else nn.Linear(*sizes[kind])
        after = {"flattened": 10, "rolled": 6, "padded": 10, "repeated": 2}
        self.middle = nn.Linear(2, 5)
        self.last = nn.Linear(after[kind], 4)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.first(inputs)
        if self.kind == "flattened":
            return self.last(torch.tanh(x).flatten(1)[:, 1:-1])
        if self.kind == "rolled":
            return self.last(torch.cat([x, torch.tanh(x)], dim=1).roll(1, 1))
        if self.kind == "padded":
            x = F.pad(x, (1, 1)).view(-1, 2, 2)
            return self.last(torch.tanh(self.middle(x)).flatten(1))
        return self.last(x + torch.tanh(x).repeat_interleave(2, 1)[:, :2])


@pytest.mark.parametrize("kind", ["flattened", "rolled", "padded", "repeated"])
def test_a_group_that_would_change_the_function_is_refused(kind: str) -> None:
    shape = (3, 5) if kind == "flattened" else (3,)
    check(Cut(kind), torch.randn(4, *shape))


def test_a_refused_group_is_reported() -> None:
    cliques = check(Cut("flattened"), torch.randn(4, 3, 5))
    reasons = {p.reason for p in cliques.pinned if p.tensor == "first.weight" and p.axis == 0}
    assert "its order is not free" in reasons


def test_buffers_that_no_file_holds_stay() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 2)
            self.register_buffer("mask", torch.rand(5), persistent=False)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.last(torch.tanh(self.first(inputs) * self.mask))

    cliques = check(Masked(), torch.randn(2, 3))
    assert not cliques.groups
    reasons = {p.reason for p in cliques.pinned if p.tensor == "first.bias"}
    assert reasons == {"meets a fixed axis in mul"}


def test_tensors_with_two_names_move_under_both() -> None:
    network = nn.Sequential(
        nn.Linear(3, 6), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 2)
    )
    first, second = network[1], network[3]
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
    second.weight = first.weight
    network.eval()
    (group,) = trace_cliques(network, torch.randn(2, 3)).groups
    assert {m.tensor for m in group.members} >= {"1.weight", "3.weight"}
    state = shuffled(network, (group,))
    assert torch.equal(state["1.weight"], state["3.weight"])
    assert not torch.equal(state["1.weight"], first.weight)
    inputs = torch.randn(5, 3)
    before = network(inputs)
    network.load_state_dict(state)
    torch.testing.assert_close(network(inputs), before)


def test_what_cannot_be_recorded_is_one_line() -> None:
    with pytest.raises(UserError, match="call eval"):
        trace_cliques(nn.Linear(2, 2).train(), torch.randn(2, 2))
    with pytest.raises(UserError, match=r"cannot be recorded on this example: .*2x3 and 2x2"):
        trace_cliques(nn.Linear(2, 2).eval(), torch.randn(2, 3))


class Odd(nn.Module):
    """Places of an axis that are treated by number."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.first, self.last = kind, nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.first(inputs)
        if self.kind == "roll":
            x = x + x.roll(1, dims=1)
        elif self.kind == "cumsum":
            x = x.cumsum(dim=1)
        elif self.kind == "histogram":
            x = x + torch.histc(x.detach(), bins=6)
        elif self.kind == "select":
            x = x * x[:, 2:3]
        elif self.kind == "constant":
            x = x * torch.arange(6)
        return self.last(x)


@pytest.mark.parametrize(
    ("kind", "sizes", "reason"),
    [
        ("roll", [], "no other unit is like it"),
        ("cumsum", [], "is in the order of cumsum"),
        ("histogram", [], "the operation histc has no rule"),
        ("select", [5], "no other unit is like it"),
        ("constant", [], "meets a fixed axis in mul"),
    ],
)
def test_what_cannot_move_is_reported(kind: str, sizes: list[int], reason: str) -> None:
    cliques = check(Odd(kind), torch.randn(5, 3))
    assert [len(group) for group in cliques.groups] == sizes
    assert reason in {pinned.reason for pinned in cliques.pinned if pinned.tensor == "first.bias"}
