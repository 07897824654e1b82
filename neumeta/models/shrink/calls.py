"""In which order a network calls its modules, and running it up to one of them again and again."""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

Call = Callable[[nn.Module, Any], Any]
MOST_CACHED = 3 * 2**30  # bytes of outputs that are kept between runs


@dataclass(frozen=True)
class Span:
    """When a module ran.

    Attributes:
        start: Number of the event at which it began.
        end: Likewise, at which it ended.
        once: Whether it ran once, and gave one tensor.
    """

    start: int
    end: int
    once: bool


@dataclass(frozen=True)
class Order:
    """The calls of a network's modules.

    Attributes:
        spans: By name of the module, of those that ran.
        norms: By name of a layer, the BatchNorm that reads what it gives.
    """

    spans: Mapping[str, Span]
    norms: Mapping[str, str]

    def layers(self, network: nn.Module) -> list[str]:
        """Layers that are linear in what they read, in the order of their calls.

        Args:
            network: Whose calls these are.

        Returns:
            Names of linear layers and convolutions that run once.
        """
        found = [
            name
            for name, span in self.spans.items()
            if span.once and isinstance(network.get_submodule(name), nn.Linear | _ConvNd)
        ]
        return sorted(found, key=lambda name: self.spans[name].start)

    def done_before(self, name: str) -> list[str]:
        """Modules made of others that have run when a layer is called, the outermost ones.

        Args:
            name: Of the layer.

        Returns:
            Names.
        """
        start = self.spans[name].start
        found: list[str] = []
        for other, span in self.spans.items():
            inner = any(span.start < s.start and s.end < span.end for s in self.spans.values())
            if span.once and span.end < start and inner:
                found.append(other)
        return [
            other for other in found if not any(other.startswith(f"{outer}.") for outer in found)
        ]


@torch.no_grad()
def order_of(network: nn.Module, batch: Any, call: Call) -> Order:
    """Run a network and note the calls of its modules.

    Args:
        network: In evaluation mode; not changed.
        batch: What it is called with.
        call: How.

    Returns:
        The order.
    """
    spans: dict[str, Span] = {}
    starts: dict[str, int] = {}
    norms: dict[str, str] = {}
    made: dict[int, tuple[weakref.ref[Tensor], str]] = {}
    clock = iter(range(1 << 62))

    def begin(name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        starts[name] = next(clock)
        if isinstance(module, _NormBase) and args and isinstance(args[0], Tensor):
            reference, layer = made.get(id(args[0]), (None, ""))
            if reference is not None and reference() is args[0]:
                norms[layer] = name

    def end(name: str, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        once = name not in spans and isinstance(output, Tensor)
        spans[name] = Span(starts[name], next(clock), once)
        if isinstance(module, nn.Linear | _ConvNd):
            made[id(output)] = weakref.ref(output), name

    with ExitStack() as stack:
        for name, module in network.named_modules():
            if name:
                _hook(stack, module.register_forward_pre_hook(_named(begin, name)))
                _hook(stack, module.register_forward_hook(_named(end, name)))
        call(network, batch)
    return Order(spans, norms)


class _Reached(Exception):
    """The layer that was asked for has run."""


@dataclass
class Walk:
    """Runs of a network on the same batches up to one layer after the other.

    What has run before a layer is final by then: what whole blocks gave is kept, and they do not
    run again for the layers after them.

    Attributes:
        network: Not changed by a run; its layers may be changed between runs if they come no
            earlier in its order.
        batches: What it is called with.
        call: How.
        order: Of its calls.
    """

    network: nn.Module
    batches: Sequence[Any]
    call: Call
    order: Order
    _kept: dict[str, list[Tensor]] = field(default_factory=dict)

    @torch.no_grad()
    def reach(self, name: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Run up to a layer.

        Args:
            name: Of the layer.

        Yields:
            For each batch, what the layer reads and gives.
        """
        done = self.order.done_before(name)
        self._kept = {module: self._kept[module] for module in done if module in self._kept}
        fresh: dict[str, list[Tensor]] = {m: [] for m in done if m not in self._kept}
        for number, batch in enumerate(self.batches):
            yield self._run(name, number, batch, fresh)
            self._forget(fresh)
        self._kept |= fresh

    def _run(
        self, name: str, number: int, batch: Any, fresh: Mapping[str, list[Tensor]]
    ) -> tuple[Tensor, Tensor]:
        reached: list[tuple[Tensor, Tensor]] = []

        def stop(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            reached.append((args[0], output))
            raise _Reached

        with ExitStack() as stack:
            for module, outputs in self._kept.items():
                _replace(stack, self.network.get_submodule(module), outputs[number])
            for module, outputs in fresh.items():
                keep = _keeper(outputs)
                _hook(stack, self.network.get_submodule(module).register_forward_hook(keep))
            _hook(stack, self.network.get_submodule(name).register_forward_hook(stop))
            with suppress(_Reached):
                self.call(self.network, batch)
        return reached[0]

    def _forget(self, fresh: dict[str, list[Tensor]]) -> None:
        """Keep no more than there is room for."""
        for module in list(fresh):
            kept = [o for outputs in (*self._kept.values(), *fresh.values()) for o in outputs]
            if sum(output.nbytes for output in kept) <= MOST_CACHED:
                break
            del fresh[module]


def _named(function: Callable[..., None], name: str) -> Callable[..., None]:
    return lambda *args: function(name, *args)


def _hook(stack: ExitStack, handle: Any) -> None:
    stack.callback(handle.remove)


def _keeper(outputs: list[Tensor]) -> Callable[..., None]:
    def keep(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        outputs.append(output.clone())

    return keep


def _replace(stack: ExitStack, module: nn.Module, output: Tensor) -> None:
    """Let a module give what it gave before; a copy, as its reader may write to it."""
    module.forward = lambda *args, **kwargs: output.clone()
    stack.callback(vars(module).pop, "forward", None)
