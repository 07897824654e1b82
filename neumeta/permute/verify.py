"""Whether groups hold: the network is run with all of them shuffled, and outputs compared.

The trace follows rules, and a rule can be wrong; what passes here was seen to keep the function.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from neumeta.core.errors import UserError
from neumeta.models.groups import Group
from neumeta.permute.arrangement import Arrangement

TOLERANCE = 1e-7  # of the largest output, in double precision; true errors are far above


def split_by_truth(
    network: nn.Module, examples: Sequence[Tensor], groups: Sequence[Group]
) -> tuple[list[Group], list[Group]]:
    """Shuffle groups and see whether the outputs change.

    Weights are disturbed first, so that layers that start at zero hide nothing. All groups are
    shuffled at once; only if that fails are they halved until those at fault are alone.

    Args:
        network: In evaluation mode.
        examples: Arguments of its forward.
        groups: Channels first, then blocks.

    Returns:
        Groups that keep the function, and groups that do not.

    Raises:
        UserError: If an output is no finite number.
    """
    generator = torch.Generator().manual_seed(0)
    state = _disturbed(network, generator)
    inputs = tuple(_double(value) for value in examples)
    before = _outputs(network, state, inputs)
    if not all(bool(value.isfinite().all()) for value in before):
        raise UserError("outputs of the network on this example are not all finite numbers")
    scale = max((float(value.abs().max()) for value in before if value.numel()), default=0.0)

    def holds(some: Sequence[Group]) -> bool:
        mine = [_without_other_names(group, state) for group in some]
        orders = {group.name: _shuffle(len(group), generator) for group in mine}
        shuffled = Arrangement.of_orders(mine, orders, state).apply(state)
        after = _outputs(network, shuffled, inputs)
        pairs = zip(before, after, strict=True)
        return all(float((a - b).abs().max()) <= TOLERANCE * scale for a, b in pairs if a.numel())

    kept: list[Group] = []
    dropped: list[Group] = []

    def sift(some: Sequence[Group]) -> None:
        if not some:
            return
        if holds([*kept, *some]):
            kept.extend(some)
        elif len(some) == 1:
            dropped.extend(some)
        else:
            sift(some[: len(some) // 2])
            sift(some[len(some) // 2 :])

    sift(groups)
    return kept, dropped


def _shuffle(count: int, generator: torch.Generator) -> list[int]:
    """A random order, but never the given one."""
    order = torch.randperm(count, generator=generator)
    return (order.roll(1) if torch.equal(order, torch.arange(count)) else order).tolist()


def _disturbed(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, value in network.named_parameters():
        noise = torch.randn(value.shape, generator=generator, dtype=torch.double)
        own = _double(value.detach())
        state[name] = own * (1 + 0.3 * noise) + 0.03 * noise if own.is_floating_point() else own
    for name, buffer in network.named_buffers():
        state[name] = _double(buffer.detach())
        if buffer.is_floating_point():  # variances must stay positive
            factor = torch.rand(buffer.shape, generator=generator, dtype=torch.double)
            state[name] = state[name] * (0.5 + factor)
    return state


def _double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value


def _outputs(
    network: nn.Module, state: Mapping[str, Tensor], inputs: tuple[Tensor, ...]
) -> list[Tensor]:
    with torch.no_grad():
        found = functional_call(network, dict(state), inputs)
    return [value for value in tree_leaves(found) if isinstance(value, Tensor)]


def _without_other_names(group: Group, state: Mapping[str, Tensor]) -> Group:
    return replace(group, members=tuple(m for m in group.members if m.tensor in state))
