"""Families of traced networks: the width sets the size of every group that changes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import nn

from neumeta.models.axes import Axis, Point
from neumeta.models.family import STREAM_ORDERS, Family
from neumeta.models.traced.bare import traced
from neumeta.models.traced.plan import Plan, Scope, make_plan
from neumeta.tracing.groups import Group

Sizes = Mapping[str, int]
Make = Callable[[Sizes, bool], nn.Module]
_OF_NO_NETWORK = (STREAM_ORDERS, "min_width", "max_width", "widths")


@dataclass(frozen=True)
class Traced:
    """What a trace of a base network says.

    Attributes:
        plan: Groups that may have any size.
        streams: Axes of residual streams.
        parameters: Names, in the order of the network.
    """

    plan: Plan
    streams: tuple[Group, ...]
    parameters: tuple[str, ...]


def trace_network(network: nn.Module, example: torch.Tensor, scope: Scope) -> Traced:
    """Trace a base network.

    Args:
        network: In evaluation mode; not changed.
        example: A batch of two inputs.
        scope: Which groups change.

    Returns:
        What was found.
    """
    cliques = traced(network, example)
    plan = make_plan(network, example, scope=scope, cliques=cliques)
    return Traced(plan, cliques.streams, tuple(name for name, _ in network.named_parameters()))


_known: dict[str, Traced] = {}  # a trace takes a second; every file's header names a family


def traced_once(
    family: Family, scope: Scope, base: Callable[[], tuple[nn.Module, torch.Tensor]]
) -> Traced:
    """Trace the base network of a family, once in a process.

    Args:
        family: Its settings and what it takes tell it from others.
        scope: Which groups change.
        base: Builds the base network, without statistics of BatchNorms, and a batch of two inputs
            for it, if it is not known yet.

    Returns:
        What was found.
    """
    settings = {k: v for k, v in family.settings.items() if k not in _OF_NO_NETWORK}
    takes = family.input_spec["image_shape"], len(family.input_spec["classes"])
    key = json.dumps([settings, takes], sort_keys=True)
    if key not in _known:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network, example = base()
        _known[key] = trace_network(network.eval(), example, scope)
    return _known[key]


def noise_for(family: Family) -> torch.Tensor:
    """Draw an example for a trace.

    Args:
        family: What it takes.

    Returns:
        A batch of two inputs.
    """
    generator = torch.Generator().manual_seed(0)
    return torch.randn(family.example_input(2).shape, generator=generator)


def with_groups(
    family: Family,
    found: Traced,
    make: Make,
    floors: Mapping[str, float] | None = None,
    outline: Callable[[Sizes], nn.Module] | None = None,
) -> Family:
    """Complete a family by what a trace says of its base network.

    A tensor is generated if it belongs to a layer with a channel that changes; all others stay
    those of the base.

    Args:
        family: Name, settings, what it takes, and one axis.
        found: The trace.
        make: From the sizes of groups, by name, and whether BatchNorms are wanted, to a network
            with fresh weights.
        floors: Share of the units at the smallest width by pattern of names, where it is not that
            of the width; up to the whole network it follows in a straight line.
        outline: From the sizes to a network without weights, where `make` is slow.

    Returns:
        The family, with its makers, groups, streams and frozen tensors.
    """
    plan, (axis,) = found.plan, family.axes
    own = set(found.parameters)
    changing = {_owner(member.tensor) for group in plan.groups for member in group.members}
    frozen = frozenset(name for name in found.parameters if _owner(name) not in changing)

    def sizes(at: Point) -> Sizes:
        share = Fraction(at[axis.name], axis.base)
        return plan.sizes({**_between(share, axis, floors or {}), "*": share})

    moving = {axis for group in plan.groups for axis in group.axes}

    def still(stream: Group) -> Group:
        axes = [m for m in stream.members if (m.tensor, m.axis) not in moving]
        return _of(replace(stream, members=tuple(axes)), own - frozen)

    return replace(
        family,
        maker=lambda at: make(sizes(at), False),
        norm_maker=lambda at: make(sizes(at), True),
        outline=(lambda at: outline(sizes(at))) if outline is not None else None,
        frozen=frozen,
        group_sizes=sizes,
        groups=tuple(_of(group, own) for group in plan.groups),
        streams=tuple(stream for group in found.streams if (stream := still(group)).members),
    )


def _owner(tensor: str) -> str:
    return tensor.rpartition(".")[0]


def _of(group: Group, tensors: set[str]) -> Group:
    """A group as some tensors see it."""
    return replace(group, members=tuple(m for m in group.members if m.tensor in tensors))


def _between(share: Fraction, axis: Axis, floors: Mapping[str, float]) -> dict[str, Fraction]:
    """Shares of the groups that have their own smallest one."""
    least = Fraction(axis.low, axis.base)
    gone = (1 - share) / (1 - least) if least < 1 else Fraction(0)  # 1 at the smallest width
    return {
        name: 1 - gone * (1 - Fraction(floor).limit_denominator(10**6))
        for name, floor in floors.items()
    }
