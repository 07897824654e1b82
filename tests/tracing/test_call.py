"""How networks are called, and that nothing of them is changed by it."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.permute.smooth import smooth
from neumeta.tracing.trace import trace_cliques
from tests.small_networks import Wrapped, linear, noise, sizes, two_layers


class Asking(nn.Module):
    """Takes its input in one way."""

    def __init__(self, take: Callable[..., Tensor]) -> None:
        super().__init__()
        self.take, self.layers = take, nn.ModuleList(linear((3, 8), (8, 2)))

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        return two_layers(self.layers, self.take(*inputs, **named))


class Batch:
    """An object of a library that holds tensors."""

    def __init__(self, image: Tensor) -> None:
        self.image = image


IMAGE = noise(2, 3)
CALLS: dict[str, tuple[Callable[..., Tensor], tuple[Any, ...], dict[str, Any]]] = {
    "a tensor": (lambda x: x, (IMAGE,), {}),
    "a dictionary": (lambda x: x["image"], ({"image": IMAGE, "name": "a"},), {}),
    "a list": (lambda x: x[1], ([IMAGE, IMAGE],), {}),
    "an object": (lambda x: x.image, (Batch(IMAGE),), {}),
    "beside nothing": (lambda x, mask: x, (IMAGE, None), {}),
    "a number": (lambda x, times: x * times, (IMAGE, 3), {}),
    "by name": (lambda x=None, mask=None: mask, (), {"mask": IMAGE}),
    "part by name": (lambda x, mask=None: x + mask, (IMAGE,), {"mask": IMAGE}),
}


@pytest.mark.parametrize("name", CALLS)
def test_examples_of_any_kind(name: str) -> None:
    take, args, kwargs = CALLS[name]
    found = smooth(Asking(take).eval(), *args, **kwargs)
    assert [group.channels for group in found.groups] == [8]


def test_a_network_without_input() -> None:
    """Where all inputs are one number, so are they in any order."""
    cliques = trace_cliques(Asking(lambda: torch.ones(2, 3)).eval())
    assert sizes(cliques) == [3, 8]


def test_a_way_to_call_of_ones_own() -> None:
    network = Asking(lambda x, seed: x * seed).eval()

    def call(given: nn.Module, image: Tensor) -> Tensor:
        result: Tensor = given(image, seed=2)
        return result

    assert [g.channels for g in smooth(network, IMAGE, forward=call).groups] == [8]
    part = trace_cliques(network, IMAGE, forward=lambda given, image: given.layers[0](image))
    assert not part.groups  # its channels are the output
    other = trace_cliques(network, IMAGE, forward=lambda given, image: network(image, seed=2))
    assert not other.groups  # nothing of what is given is asked


class Counter:
    """Its method is a hook."""

    def __init__(self) -> None:
        self.calls = 0

    def hook(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.calls += 1


STORE: list[Any] = []


class Busy(nn.Module):
    """Writes to whatever a network may write to, then fails, or not."""

    steps: Tensor
    cache: Tensor | None

    def __init__(self, fails: str) -> None:
        super().__init__()
        self.fails = fails
        self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 2)
        self.norm, self.drop = nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.register_buffer("steps", torch.zeros(1))
        self.cache = None
        self.count, self.seen = 0, [0]
        self.table: dict[str, Any] = {"sum": torch.zeros(2)}
        self.plain, self.computed = torch.zeros(8), self.first.weight * 2
        self.generator = torch.Generator().manual_seed(1)
        self.lock, self.package, self.counter = threading.Lock(), np, Counter()
        kept: list[Any] = []
        self.first.register_forward_hook(self.counter.hook)
        self.last.register_forward_hook(lambda module, inputs, output: kept.append(output))
        self.last.register_forward_hook(lambda module, inputs, output: STORE.append(output))
        self.kept = kept

    def forward(self, inputs: Tensor) -> Tensor:
        self.count += 1
        self.steps += 1
        self.cache, self.table["last"] = inputs, inputs
        self.table["sum"] += 1
        self.seen.append(self.count)
        self.plain.add_(1)
        self.first.bias.data.mul_(1.5)
        inputs.mul_(1.5)
        torch.rand(2, generator=self.generator)
        self.added = nn.Linear(2, 2)
        result: Tensor = self.last(self.drop(torch.relu(self.norm(self.first(inputs)))))
        self.requires_grad_(False)
        self.train()
        if self.fails == "always":
            raise RuntimeError("on purpose")
        if self.fails == "in double precision" and result.dtype == torch.double:
            raise RuntimeError("on purpose")
        return result * torch.nan if self.fails == "to be a number" else result


def everything(value: Any, seen: dict[int, int]) -> Any:
    """All that can be compared of a value and what it holds."""
    if isinstance(value, bool | int | float | str | None):
        return value
    if id(value) in seen:
        return "seen", seen[id(value)]
    seen[id(value)] = len(seen)
    if isinstance(value, Tensor):
        grad = value.grad.tolist() if value.is_leaf and value.grad is not None else None
        facts = value.dtype, value.requires_grad, value.is_leaf, value.stride(), value.data_ptr()
        return value.tolist(), facts, value._version, grad
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, dict):
        return [(key, everything(item, seen)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [everything(item, seen) for item in value]
    if cells := getattr(value, "__closure__", None):
        return id(value), [everything(cell.cell_contents, seen) for cell in cells]
    if isinstance(value, nn.Module | Counter):
        return id(value), everything(vars(value), seen)
    return id(value)


@pytest.mark.parametrize("fails", ["never", "always", "in double precision", "to be a number"])
def test_nothing_of_a_network_is_changed(fails: str) -> None:
    network, example = Busy(fails).eval(), noise(2, 3)
    network.norm.requires_grad_(False)
    network.drop.train()
    network.last.weight.sum().backward()
    STORE.clear()
    before, numbers = everything(network, {}), torch.random.get_rng_state()
    if fails in ("always", "to be a number"):
        with pytest.raises(UserError, match=r"on purpose|not all finite"):
            smooth(network, example)
    else:
        assert [group.channels for group in smooth(network, example).groups] == [8]
    assert everything(network, {}) == before
    assert torch.equal(example, noise(2, 3))
    assert torch.equal(torch.random.get_rng_state(), numbers)
    assert not STORE and not network.kept
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float


def test_what_has_no_copy_is_one_line() -> None:
    network = Wrapped(two_layers, *linear((3, 8), (8, 2))).eval()
    network.source = (number for number in range(3))  # type: ignore[assignment]
    with pytest.raises(UserError, match="cannot be copied: cannot pickle 'generator' object"):
        trace_cliques(network, noise(2, 3))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_in_any_mode_of_the_caller(mode: Callable[[], Any]) -> None:
    network = Wrapped(two_layers, *linear((3, 8), (8, 2))).eval()
    with mode():
        assert sizes(trace_cliques(network, noise(2, 3))) == [8]


def test_a_function_over_layers_asks_the_copys_layers() -> None:
    first, last = linear((3, 8), (8, 2))
    network = Wrapped(lambda layers, inputs: last(torch.relu(first(inputs))), first, last).eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert sizes(trace_cliques(network, noise(2, 3))) in ([], [8])
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
