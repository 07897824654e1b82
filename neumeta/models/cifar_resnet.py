"""ResNets for 32 x 32 images: 6n+2 layers in three stages, with shortcuts that have no weights.

Source: He et al. 2016, section 4.2. The shortcut is option A: where the size of the map changes,
every second pixel is taken and the new channels are zero. The inner ("hidden") width of every
residual block may differ from the width of the stage; the stage widths are 16, 32, 64.
"""

from collections.abc import Mapping, Sequence
from typing import Any, no_type_check

import torch.nn.functional as F
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.blocks import residual_family
from neumeta.models.family import Family
from neumeta.models.parts import Stage

STAGE_WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a hidden width, added to the shortcut."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int, norm: bool) -> None:
        """Build the block.

        Args:
            inputs: Channels that come in.
            hidden: Channels between the two convolutions.
            outputs: Channels that go out.
            stride: Of the first convolution and of the shortcut.
            norm: Whether BatchNorm follows each convolution; else the convolutions have biases.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, hidden, 3, stride, padding=1, bias=not norm)
        self.bn1 = nn.BatchNorm2d(hidden) if norm else nn.Identity()
        self.conv2 = nn.Conv2d(hidden, outputs, 3, padding=1, bias=not norm)
        self.bn2 = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.stride = stride
        self.new_channels = outputs - inputs

    @no_type_check  # torch.jit.script reads it, and knows plain types alone
    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the block.

        Args:
            inputs: Maps, shape (n, inputs, height, width).

        Returns:
            Maps, shape (n, outputs, height / stride, width / stride).
        """
        value = F.relu(self.bn1(self.conv1(inputs)))
        value = self.bn2(self.conv2(value))
        return F.relu(value + self._shortcut(inputs))

    @no_type_check
    def _shortcut(self, inputs: Tensor) -> Tensor:
        if self.stride == 1 and self.new_channels == 0:
            return inputs
        before = self.new_channels // 2
        kept = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, before, self.new_channels - before))


class CifarResNet(nn.Module):
    """A stem convolution, three stages of basic blocks, global mean pooling, a classifier.

    The network falls into a trunk, the stem and the first `trunk_blocks` blocks, and a tail,
    which is all the rest; `forward` applies either or both.
    """

    def __init__(
        self,
        hidden: Sequence[int],
        *,
        in_channels: int,
        classes: int,
        norm: bool,
        trunk_blocks: int = 0,
    ) -> None:
        """Build the network with He initialisation.

        Args:
            hidden: Hidden width of every block, channels, in the order of the network; as many
                in each stage.
            in_channels: Channels of the input.
            classes: Number of outputs.
            norm: Whether BatchNorm follows each convolution.
            trunk_blocks: Blocks that belong to the trunk.
        """
        super().__init__()
        per_stage = len(hidden) // len(STAGE_WIDTHS)
        first = STAGE_WIDTHS[0]
        self.conv1 = nn.Conv2d(in_channels, first, 3, padding=1, bias=not norm)
        self.bn1 = nn.BatchNorm2d(first) if norm else nn.Identity()
        inputs = first
        for stage, outputs in enumerate(STAGE_WIDTHS):
            blocks: list[nn.Module] = []
            for inner in hidden[stage * per_stage : (stage + 1) * per_stage]:
                stride = 2 if stage > 0 and not blocks else 1
                blocks.append(BasicBlock(inputs, inner, outputs, stride, norm))
                inputs = outputs
            own = Stage(*blocks, trunk_blocks=trunk_blocks - stage * per_stage)
            self.add_module(f"layer{stage + 1}", own)
        self.linear = nn.Linear(inputs, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    @no_type_check  # torch.jit.script reads it, and knows plain types alone
    def forward(self, inputs: Tensor, part: str = "whole") -> Tensor:
        """Classify images, or do one part of it.

        Args:
            inputs: Normalised images, shape (n, channels, height, width); for part `tail` what
                part `trunk` gave.
            part: Which part of the network to apply; see `Part`.

        Returns:
            Logits, shape (n, classes); for part `trunk` maps, shape (n, c, h, w).
        """
        value = inputs
        if part != "tail":
            value = F.relu(self.bn1(self.conv1(value)))
        value = self.layer3(self.layer2(self.layer1(value, part), part), part)
        return value if part == "trunk" else self.linear(value.mean(dim=(2, 3)))


def cifar_resnet_family(settings: Mapping[str, Any], input_spec: Mapping[str, Any]) -> Family:
    """The family whose hidden channels follow the width.

    Args:
        settings: The `family` section.
        input_spec: What the network takes.

    Returns:
        The family.

    Raises:
        UserError: If the images are too small.
    """
    channels, height, width = input_spec["image_shape"]
    if min(height, width) < 8:
        raise UserError(f"family cifar_resnet needs images of 8 x 8 or more: {height} x {width}")
    classes = len(input_spec["classes"])
    per_stage = (int(settings["depth"]) - 2) // 6
    blocks = [
        (f"layer{stage}.{block}", width)
        for stage, width in enumerate(STAGE_WIDTHS, 1)
        for block in range(per_stage)
    ]

    def build(hidden: Sequence[int], norm: bool, trunk_blocks: int) -> nn.Module:
        return CifarResNet(
            hidden, in_channels=channels, classes=classes, norm=norm, trunk_blocks=trunk_blocks
        )

    return residual_family("cifar_resnet", settings, input_spec, blocks, build)
