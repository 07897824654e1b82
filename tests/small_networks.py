"""Small networks for tests of the trace, and what becomes of them when their groups are turned."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from neumeta.tracing.arrangement import Arrangement
from neumeta.tracing.cliques import Cliques
from neumeta.tracing.nested import numbers_in
from neumeta.tracing.trace import trace_cliques


class Wrapped(nn.Module):
    """Layers given as a list, and what to do with them."""

    def __init__(self, run: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.run, self.layers = run, nn.ModuleList(layers)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.run(self.layers, *inputs, **named)


def linear(*sizes: tuple[int, int]) -> list[nn.Module]:
    """Linear layers of some sizes, their weights drawn from one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [nn.Linear(*size) for size in sizes]


def two_layers(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    """Two layers with rectified units between them."""
    result: Tensor = layers[1](torch.relu(layers[0](inputs)))
    return result


def rolled(layers: nn.ModuleList, inputs: Tensor) -> Tensor:
    """Its first layer has no free order, which the rules do not see: only a trial does."""
    first = layers[0](inputs)
    result: Tensor = layers[1](torch.cat([first, torch.tanh(first)], dim=1).roll(1, 1))
    return result


def noise(*shape: int) -> Tensor:
    """An example from one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def sizes(cliques: Cliques) -> list[int]:
    """Sizes of the groups, sorted."""
    return sorted(map(len, cliques.groups))


def turned_and_loaded(network: nn.Module, *examples: Any, **named: Any) -> tuple[Cliques, float]:
    """Trace, turn every group round, load that into the network itself: how far outputs move.

    Returns:
        The cliques, and the largest change of an output as a share of the largest output.
    """
    network.eval()
    with torch.no_grad():
        before = [value.clone() for value in numbers_in(network(*examples, **named))]
        cliques = trace_cliques(network, *examples, **named)
        orders = {group.name: list(range(len(group)))[::-1] for group in cliques.groups}
        state = network.state_dict()
        network.load_state_dict(Arrangement.of_orders(cliques.groups, orders, state).apply(state))
        after = numbers_in(network(*examples, **named))
    changes = [
        float((a - b).abs().max() / a.abs().max())
        for a, b in zip(before, after, strict=True)
        if a.numel() and a.is_floating_point()
    ]
    return cliques, max(changes, default=0.0)
