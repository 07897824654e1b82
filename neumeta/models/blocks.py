"""Residual families: which blocks of a network morph, and how wide each of them is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neumeta.models.axes import Point
from neumeta.models.family import Family, width_axis
from neumeta.tracing.groups import Group


@dataclass(frozen=True)
class BlockPlan:
    """The hidden widths of a residual network whose streams never change.

    Example: CIFAR ResNet-20 with scope `last_block` has nine blocks of full hidden widths
    16, 16, 16, 32, 32, 32, 64, 64, 64; at h = 16 the last one is 16, the others stay.

    Attributes:
        stages: Width of every stage, channels.
        per_stage: Blocks in each stage.
        scope: `last_block`, `last_stage` or `all_blocks`.
    """

    stages: tuple[int, ...]
    per_stage: int
    scope: str

    @property
    def full_width(self) -> int:
        """Width of the last stage.

        Returns:
            The base width h, channels.
        """
        return self.stages[-1]

    @property
    def first(self) -> int:
        """Position of the first block that morphs; all blocks after it do, too.

        Returns:
            0 for the first block of the network.
        """
        count = {"last_block": 1, "last_stage": self.per_stage, "all_blocks": self._blocks}
        return self._blocks - count[self.scope]

    @property
    def morphing(self) -> tuple[str, ...]:
        """Names of the blocks that morph, in the order of the network.

        Returns:
            Names such as `layer3.2`.
        """
        return tuple(self._name(place) for place in range(self.first, self._blocks))

    def hidden(self, width: int) -> tuple[int, ...]:
        """Hidden width of every block at a base width.

        Args:
            width: Base width h, channels.

        Returns:
            Channels per block, rounded to the nearest whole number (halves up), at least 1.
        """
        widths = []
        for place in range(self._blocks):
            full = self.stages[place // self.per_stage]
            scaled = (2 * full * width + self.full_width) // (2 * self.full_width)
            widths.append(max(1, scaled) if place >= self.first else full)
        return tuple(widths)

    def streams(self) -> tuple[Group, ...]:
        """The channels between the blocks, which never change, as the blocks that morph see them.

        Returns:
            One group per stage whose stream they read or write.
        """
        found: dict[int, list[tuple[str, int]]] = {}
        for place in range(self.first, self._blocks):
            stage, block = place // self.per_stage, self._name(place)
            source = max(place - 1, 0) // self.per_stage
            found.setdefault(source, []).append((f"{block}.conv1.weight", 1))
            found.setdefault(stage, []).append((f"{block}.conv2.weight", 0))
            found[stage].append((f"{block}.conv2.bias", 0))
        return tuple(
            Group.of_axes(f"stream {stage + 1}", members, self.stages[stage])
            for stage, members in sorted(found.items())
        )

    @property
    def _blocks(self) -> int:
        return len(self.stages) * self.per_stage

    def _name(self, place: int) -> str:
        return f"layer{place // self.per_stage + 1}.{place % self.per_stage}"


def residual_family(
    name: str,
    settings: Mapping[str, Any],
    input_spec: Mapping[str, Any],
    plan: BlockPlan,
    build: Callable[[Sequence[int], bool], nn.Module],
) -> Family:
    """A family in which the hidden channels of some blocks follow the width.

    Args:
        name: Key in the registry.
        settings: The `family` section.
        input_spec: What the network takes.
        plan: Which blocks.
        build: From the hidden width of every block, and whether BatchNorms are wanted, to the
            network.

    Returns:
        The family; all that lies before the first block that morphs is its trunk.
    """
    axis = width_axis(settings)

    def maker(norm: bool) -> Callable[[Point], nn.Module]:
        return lambda at: build(plan.hidden(at[axis.name]), norm)

    with torch.device("meta"):
        tensors = [key for key, _ in build(plan.hidden(axis.base), False).named_parameters()]
    generated = tuple(f"{block}.conv" for block in plan.morphing)
    return Family(
        name,
        settings,
        input_spec,
        (axis,),
        maker(norm=False),
        maker(norm=True),
        frozen=frozenset(key for key in tensors if not key.startswith(generated)),
        streams=plan.streams(),
        has_trunk=plan.first > 0,
    )
