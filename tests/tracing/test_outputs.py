"""The trial of groups: every output by its own scale, and refused where outputs cannot tell."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.tracing.trace import trace_cliques
from tests.small_networks import (
    Wrapped,
    linear,
    noise,
    rolled,
    sizes,
    turned_and_loaded,
    two_layers,
)

UNTOLD = "the outputs do not tell its order"


@dataclass
class Record:
    logits: Tensor
    name: str


class Pair(NamedTuple):
    first: Tensor
    second: Tensor | None


Shown = Callable[[Tensor, Tensor], Any]

HIDING: dict[str, Shown] = {  # the result, the inputs
    "alone": lambda y, x: y,
    "beside a large output": lambda y, x: (y, x * 1e9 + 1e9),
    "beside large columns": lambda y, x: torch.cat([y, x * 1e9], dim=1),
    "the largest": lambda y, x: y.argmax(dim=1),
    "a mask": lambda y, x: y > 0,
    "saturated": lambda y, x: torch.sigmoid(50 * y + 200),
    "the top two": lambda y, x: y.topk(2),
    "clipped": lambda y, x: y.clamp(1e3, 1e4),
    "rounded": lambda y, x: torch.round(0.01 * y),
    "a number of Python": lambda y, x: y.sum().item(),
    "a class beside its logits": lambda y, x: (x, y.argmax(dim=1)),
}


@pytest.mark.parametrize("name", HIDING)
@pytest.mark.filterwarnings("ignore:the network asks for a number")
def test_a_wrong_group_is_refused_whatever_is_shown_of_it(name: str) -> None:
    """The rules take the first layer for free, which it is not."""

    def run(layers: nn.ModuleList, inputs: Tensor) -> Any:
        return HIDING[name](rolled(layers, inputs), inputs)

    network = Wrapped(run, *linear((3, 3), (6, 4))).eval()
    assert sizes(trace_cliques(network, noise(8, 3))) == []


SHOWING: dict[str, Shown] = {
    "a dictionary": lambda y, x: {"out": y, "aux": None},
    "a dataclass": lambda y, x: Record(y, "logits"),
    "a named tuple": lambda y, x: [Pair(y, None), "text"],
    "a distribution": lambda y, x: torch.distributions.Normal(y, 1.0),
    "complex": lambda y, x: torch.complex(y, y),
    "truth values beside": lambda y, x: (y, torch.zeros(2, dtype=torch.bool)),
    "nothing beside": lambda y, x: (y, torch.empty(0, 3), x),
    "no numbers beside": lambda y, x: (y, torch.full((2,), -torch.inf)),
    "zeros beside": lambda y, x: (y, x * 0, 1 - torch.softmax(y, dim=1).sum(dim=1)),
    "a loss": lambda y, x: y.square().sum(dim=0)[0],
    "very small": lambda y, x: (y * 1e-9, x),
}


@pytest.mark.parametrize("name", SHOWING)
@pytest.mark.filterwarnings("ignore:the network asks for a number")
def test_right_groups_are_kept(name: str) -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Any:
        return SHOWING[name](two_layers(layers, inputs), inputs)

    cliques, change = turned_and_loaded(Wrapped(run, *linear((3, 8), (8, 2))), noise(4, 3))
    assert 8 in sizes(cliques) and change < 1e-5


def test_outputs_of_whole_numbers_tell_nothing() -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        return two_layers(layers, inputs).argmax(dim=1)

    cliques = trace_cliques(Wrapped(run, *linear((3, 8), (8, 2))).eval(), noise(4, 3))
    assert not cliques.groups
    assert {p.reason for p in cliques.pinned if p.tensor == "layers.0.bias"} == {UNTOLD}


def test_a_wrong_way_behind_a_class_is_refused_where_another_output_shows_the_group() -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> tuple[Tensor, Tensor]:
        first = torch.relu(layers[0](inputs))
        double = torch.cat([first, torch.tanh(first)], dim=1).roll(1, 1)
        return layers[1](first), layers[2](double).argmax(dim=1)

    network = Wrapped(run, *linear((3, 4), (4, 2), (8, 3))).eval()
    assert sizes(trace_cliques(network, noise(4, 3))) == []


def test_a_network_without_gradients_is_told_by_moving_weights() -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            return two_layers(layers, inputs)

    assert sizes(trace_cliques(Wrapped(run, *linear((3, 8), (8, 2))).eval(), noise(4, 3))) == [8]


def test_a_dead_network_is_tried_with_other_weights() -> None:
    layers = linear((3, 8), (8, 6), (6, 2))
    for layer in layers[:2]:
        assert isinstance(layer, nn.Linear)
        layer.bias.data.fill_(-1000.0)
    network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]).eval()
    assert sizes(trace_cliques(network, noise(4, 3))) == [6, 8]


def test_nothing_returned_is_one_line() -> None:
    network = Wrapped(lambda layers, inputs: None, *linear((3, 8))).eval()
    with pytest.raises(UserError, match="returns no tensor"):
        trace_cliques(network, noise(2, 3))


class CastNorm(nn.LayerNorm):
    """Computes in single precision whatever it is given."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.float()).to(inputs.dtype)


class RmsNorm(nn.Module):
    """A norm whose middle alone is in single precision, as in language models."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, inputs: Tensor) -> Tensor:
        middle = inputs.float()
        scale = torch.rsqrt(middle.square().mean(dim=-1, keepdim=True) + 1e-6)
        return self.weight * (middle * scale).to(inputs.dtype)


def states(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    first = torch.zeros(2, len(inputs), 6), torch.zeros(2, len(inputs), 6)
    result: Tensor = layers[2](torch.relu(layers[1](layers[0](inputs, first)[0][:, -1])))
    return result


def one_hot(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    return two_layers(layers, F.one_hot((inputs[:, 0] > 0).long(), 3).float())


def in_bfloat16(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return two_layers(layers, inputs)


def chain(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    for layer in layers:
        inputs = layer(inputs)
    return inputs


PRECISIONS: dict[str, tuple[Any, list[nn.Module], tuple[int, ...], list[int]]] = {
    "first states of zeros": (
        states,
        [nn.LSTM(4, 6, 2, batch_first=True), *linear((6, 8), (8, 3))],
        (2, 5, 4),
        [6, 6, 8],
    ),
    "a cast norm": (
        chain,
        [nn.Linear(4, 8), CastNorm(8), nn.ReLU(), nn.Linear(8, 3)],
        (2, 4),
        [8],
    ),
    "deep casts": (
        chain,
        [*[m for _ in range(4) for m in (nn.Linear(6, 6), RmsNorm(6), nn.ReLU())], nn.Linear(6, 2)],
        (3, 6),
        [6, 6, 6, 6],
    ),
    "one-hot": (one_hot, linear((3, 8), (8, 2)), (4, 3), [8]),
    "autocast": (in_bfloat16, linear((3, 8), (8, 2)), (4, 3), [8]),
}


@pytest.mark.parametrize("name", PRECISIONS)
def test_networks_that_choose_their_precision(name: str) -> None:
    run, layers, shape, wanted = PRECISIONS[name]
    assert sizes(trace_cliques(Wrapped(run, *layers).eval(), noise(*shape))) == wanted


@pytest.mark.parametrize("dtype", [torch.double, torch.half, torch.bfloat16, torch.cfloat])
def test_networks_of_other_numbers(dtype: torch.dtype) -> None:
    network = nn.Sequential(
        nn.Linear(3, 8, dtype=dtype), nn.Tanh(), nn.Linear(8, 2, dtype=dtype)
    ).eval()
    assert sizes(trace_cliques(network, noise(4, 3).to(dtype))) == [8]


@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16])
def test_a_wrong_group_is_seen_in_any_precision(dtype: torch.dtype) -> None:
    def run(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
        return rolled(layers, inputs + torch.zeros(3, dtype=inputs.dtype)).to(dtype)

    network = Wrapped(run, *linear((3, 3), (6, 4))).eval()
    assert sizes(trace_cliques(network, noise(8, 3))) == []
