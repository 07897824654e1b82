"""Which residual blocks of a network morph, and how wide each of them is."""

from dataclasses import dataclass

from neumeta.models.groups import CliqueGroup


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

    def groups(self) -> tuple[CliqueGroup, ...]:
        """The hidden channels of every block that morphs.

        Returns:
            One clique group per block.
        """
        return tuple(
            CliqueGroup(
                f"{block}.conv1",
                (
                    (f"{block}.conv1.weight", 0),
                    (f"{block}.conv1.bias", 0),
                    (f"{block}.conv2.weight", 1),
                ),
            )
            for block in self.morphing
        )

    def streams(self) -> tuple[CliqueGroup, ...]:
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
            CliqueGroup(f"stream {stage + 1}", tuple(members))
            for stage, members in sorted(found.items())
        )

    @property
    def _blocks(self) -> int:
        return len(self.stages) * self.per_stage

    def _name(self, place: int) -> str:
        return f"layer{place // self.per_stage + 1}.{place % self.per_stage}"
