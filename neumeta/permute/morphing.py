"""The clique groups of a family: the channels whose number differs between its networks."""

import json

import torch

from neumeta.core.errors import UserError
from neumeta.models.family import STREAM_ORDERS, Family
from neumeta.tracing.groups import Group
from neumeta.tracing.trace import trace_cliques

_found: dict[str, tuple[Group, ...]] = {}  # a trace takes up to a second; headers name families


def morphing_groups(family: Family) -> tuple[Group, ...]:
    """Trace the base network of a family, and take the groups that change along its axes.

    Args:
        family: Any; it is traced once in a process, whatever the order of its streams.

    Returns:
        Groups of single channels at the base point, in the order of the network.

    Raises:
        UserError: If channels follow an axis of the family, but cannot change places.
    """
    header = family.header()
    header["family"].pop(STREAM_ORDERS, None)
    key = json.dumps(header, sort_keys=True)
    if key not in _found:
        _found[key] = _traced(family)
    return _found[key]


def _traced(family: Family) -> tuple[Group, ...]:
    changing = {(name, axis) for name, axes in family.morphing_axes.items() for axis in axes}
    network = family.initialised(family.base, seed=0, norm=False)
    example = torch.randn(family.example_input(2).shape, generator=torch.Generator().manual_seed(0))
    groups = tuple(
        group
        for group in trace_cliques(network, example).groups
        if group.level == "channel" and changing.intersection(group.axes)
    )
    if strange := changing.symmetric_difference(axis for group in groups for axis in group.axes):
        name, axis = min(strange)
        raise UserError(
            f"family {family.name}: axis {axis} of {name!r} does not change together with the "
            "channels that share its order"
        )
    return groups
