"""Normalisations without tensors: which groups they normalise, and so how large they must be.

Nothing of an `nn.InstanceNorm2d(8)` or an `nn.LayerNorm(8, elementwise_affine=False)` but a number
says that it takes 8 channels. So a copy of the network is traced in which each has a weight.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from neumeta.tracing.call import Forward
from neumeta.tracing.cliques import Cliques
from neumeta.tracing.grouping import name_of
from neumeta.tracing.groups import Group
from neumeta.tracing.nested import copied_network
from neumeta.tracing.trace import trace_cliques

Shape = tuple[int, ...]
_SHAPES: tuple[tuple[type | tuple[type, ...], Callable[[Any], Shape]], ...] = (
    (_NormBase, lambda norm: (norm.num_features,)),
    (nn.GroupNorm, lambda norm: (norm.num_channels,)),
    ((nn.LayerNorm, nn.RMSNorm), lambda norm: tuple(norm.normalized_shape)),
)


def traced(network: nn.Module, *examples: Any, forward: Forward | None = None) -> Cliques:
    """Find the clique groups of a network; those of norms without tensors know these as `bare`.

    Args:
        network: In evaluation mode; not changed.
        *examples: Arguments of its forward.
        forward: How it is called; see `trace_cliques`.

    Returns:
        As `trace_cliques` does.

    Raises:
        UserError: If the network cannot be traced.
    """
    norms = _bare_norms(network) if isinstance(network, nn.Module) else {}
    if not norms:
        return trace_cliques(network, *examples, forward=forward)
    weighted = copied_network(network, shared=lambda tensor: False)
    for name, shape in norms.items():
        norm = weighted.get_submodule(name)
        kind = next(network.parameters(), torch.zeros(()))
        norm.weight = nn.Parameter(torch.ones(shape, dtype=kind.dtype, device=kind.device))
    found = trace_cliques(weighted, *examples, forward=forward)
    added = {f"{name}.weight" if name else "weight" for name in norms}
    groups = tuple(
        _bared(group, added)
        for group in found.groups
        if any(member.tensor not in added for member in group.members)
    )
    pinned = tuple(pin for pin in found.pinned if pin.tensor not in added)
    return replace(found, groups=groups, pinned=pinned)


def bare_shape(network: nn.Module, tensor: str) -> Shape:
    """Say what shape the weight of a normalisation without one would have.

    Args:
        network: That has it.
        tensor: Name of the weight.

    Returns:
        The shape.
    """
    shape = _shape(network.get_submodule(tensor.rpartition(".")[0]))
    assert shape is not None
    return shape


def _bare_norms(network: nn.Module) -> dict[str, Shape]:
    return {
        name: shape
        for name, module in network.named_modules(remove_duplicate=False)
        if not any(value is not None for value in module._parameters.values())
        and not any(value is not None for value in module._buffers.values())
        and (shape := _shape(module)) is not None
    }


def _shape(module: nn.Module) -> Shape | None:
    for kinds, shape in _SHAPES:
        if isinstance(module, kinds):
            return shape(module)
    return None


def _bared(group: Group, added: set[str]) -> Group:
    own = tuple(member for member in group.members if member.tensor not in added)
    bare = tuple(member for member in group.members if member.tensor in added)
    name = group.name if group.members[0] == own[0] else name_of(own[0], group.level)
    return replace(group, name=name, members=own, bare=bare)
