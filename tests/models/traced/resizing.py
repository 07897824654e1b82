"""What tests of resized networks have in common: parts of it, and the same by zeros."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from neumeta.models.traced.places import Kept
from neumeta.models.traced.plan import Plan, Scope, first_units, make_plan
from neumeta.models.traced.resize import resized
from neumeta.tracing.nested import numbers_in

EVERYTHING = Scope(streams=True)


def planned(network: nn.Module, *examples: Any, scope: Scope = EVERYTHING) -> Plan:
    """The plan of a network, which is put into evaluation mode."""
    return make_plan(network.eval(), *examples, scope=scope)


def at(network: nn.Module, plan: Plan, share: float) -> nn.Module:
    """The network with a share of its units, the first ones."""
    return resized(network, plan.groups, first_units(plan.sizes(share), plan.groups))


def outputs(network: nn.Module, *examples: Any, call: Callable[..., Any] | None = None) -> Tensor:
    """The first output."""
    with torch.no_grad():
        return numbers_in(call(network, *examples) if call else network(*examples))[0]


def without(network: nn.Module, plan: Plan, kept: Kept) -> nn.Module:
    """A copy in which the dropped units are zero wherever they are, and all others stay."""
    made = copy.deepcopy(network)
    tensors = {**dict(made.named_parameters()), **dict(made.named_buffers())}
    with torch.no_grad():
        for group in plan.groups:
            gone = [unit for unit in range(len(group)) if unit not in kept[group.name]]
            for member in group.members:
                places = [place for unit in gone for place in member.places[unit]]
                if member.tensor in tensors:
                    tensors[member.tensor].index_fill_(
                        member.axis, torch.tensor(places, dtype=torch.long), 0.0
                    )
    return made


def one_step(network: nn.Module, *examples: Any) -> None:
    """A step with gradients in training mode; every parameter gets one."""
    network.train()
    loss = numbers_in(network(*examples))[0].square().mean()
    loss.backward()
    assert all(value.grad is not None for value in network.parameters())
    torch.optim.SGD(network.parameters(), lr=0.01).step()
    network.eval()
