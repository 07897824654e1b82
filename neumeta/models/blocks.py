"""Residual families: the hidden channels of their last blocks follow the width."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from neumeta.models.family import Family, width_axis
from neumeta.models.traced.family import Sizes, noise_for, traced_once, with_groups
from neumeta.models.traced.plan import Scope

Build = Callable[[Sequence[int], bool, int], nn.Module]


def residual_family(
    name: str,
    settings: Mapping[str, Any],
    input_spec: Mapping[str, Any],
    blocks: Sequence[tuple[str, int]],
    build: Build,
) -> Family:
    """A family in which the hidden channels of some blocks follow the width.

    Args:
        name: Key in the registry.
        settings: The `family` section; its scope is `last_block`, `last_stage` or `all_blocks`.
        input_spec: What the network takes.
        blocks: Name and hidden width of every block of the whole network, in its order; a stage is
            what the first part of the name says.
        build: From the hidden width of every block, whether BatchNorms are wanted, and the number
            of blocks before the first that changes, to the network.

    Returns:
        The family; all that lies before the first block that changes is its trunk.
    """
    last_stage = blocks[-1][0].partition(".")[0]
    in_scope = {
        "last_block": blocks[-1:],
        "last_stage": [block for block in blocks if block[0].startswith(f"{last_stage}.")],
        "all_blocks": blocks,
    }[str(settings["scope"])]
    trunk = len(blocks) - len(in_scope)

    def make(sizes: Sizes, norm: bool) -> nn.Module:
        hidden = [sizes.get(f"{block}.conv1", full) for block, full in blocks]
        return build(hidden, norm, trunk)

    family = Family(
        name, settings, input_spec, (width_axis(settings),), has_trunk=len(in_scope) < len(blocks)
    )
    scope = Scope(tuple(f"{block}.conv1" for block, _ in in_scope))
    found = traced_once(family, scope, lambda: (make({}, False), noise_for(family)))
    return with_groups(family, found, make)
