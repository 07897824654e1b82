"""torchvision's ResNet-18 with hidden widths of one's choice, in a trunk and a tail."""

from collections.abc import Mapping, Sequence
from typing import Any, no_type_check

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.blocks import residual_family
from neumeta.models.family import Family
from neumeta.models.parts import Stage

STAGE_WIDTHS = (64, 128, 256, 512)
BLOCKS_PER_STAGE = 2


class ResNet18(nn.Module):
    """torchvision's ResNet-18, names of its tensors included.

    The inner ("hidden") width of every residual block may differ from the width of its stage.
    The network falls into a trunk, the stem and the first `trunk_blocks` blocks, and a tail,
    which is all the rest; `forward` applies either or both.
    """

    def __init__(
        self, hidden: Sequence[int], *, classes: int, norm: bool, trunk_blocks: int = 0
    ) -> None:
        """Build the network with torchvision's initialisation.

        Args:
            hidden: Hidden width of each of the eight blocks, channels.
            classes: Number of outputs.
            norm: Whether BatchNorm follows each convolution; else the convolutions have biases.
            trunk_blocks: Blocks that belong to the trunk.
        """
        from neumeta.data.torchvision_door import (
            models,  # a second that other families need not wait
        )

        super().__init__()
        full = models.resnet18(num_classes=classes)
        for name, child in full.named_children():
            self.add_module(name, child)
        for block, width in zip(self._blocks(), hidden, strict=True):
            first, second = block.get_submodule("conv1"), block.get_submodule("conv2")
            assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
            if width != first.out_channels:
                stride = first.stride[0]
                block.conv1 = nn.Conv2d(first.in_channels, width, 3, stride, padding=1, bias=False)
                block.bn1 = nn.BatchNorm2d(width)
                block.conv2 = nn.Conv2d(width, second.out_channels, 3, padding=1, bias=False)
                for conv in (block.conv1, block.conv2):
                    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        if not norm:
            _drop_norms(self)
        for number in range(len(STAGE_WIDTHS)):
            name, trunk = f"layer{number + 1}", trunk_blocks - number * BLOCKS_PER_STAGE
            self.add_module(name, Stage(*self.get_submodule(name).children(), trunk_blocks=trunk))

    @no_type_check  # torch.jit.script reads it, and knows plain types alone
    def forward(self, inputs: Tensor, part: str = "whole") -> Tensor:
        """Classify images, or do one part of it.

        Args:
            inputs: Normalised images, shape (n, 3, height, width); for part `tail` what part
                `trunk` gave.
            part: Which part of the network to apply; see `Part`.

        Returns:
            Logits, shape (n, classes); for part `trunk` maps, shape (n, c, h, w).
        """
        value = inputs
        if part != "tail":
            value = self.maxpool(self.relu(self.bn1(self.conv1(value))))
        value = self.layer4(self.layer3(self.layer2(self.layer1(value, part), part), part), part)
        if part == "trunk":
            return value
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(value, 1), 1))

    def _blocks(self) -> list[nn.Module]:
        stages = [self.get_submodule(f"layer{i + 1}") for i in range(len(STAGE_WIDTHS))]
        return [block for stage in stages for block in stage.children()]


def _drop_norms(network: nn.Module) -> None:
    """Make every BatchNorm an identity and give the convolution before it a bias, as folding."""
    for parent in network.modules():
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.Conv2d) and child.bias is None:
                child.bias = nn.Parameter(torch.zeros(child.out_channels))


def resnet18_family(settings: Mapping[str, Any], input_spec: Mapping[str, Any]) -> Family:
    """The family whose hidden channels follow the width.

    Args:
        settings: The `family` section.
        input_spec: What the network takes.

    Returns:
        The family.

    Raises:
        UserError: If the images are not coloured.
    """
    if input_spec["image_shape"][0] != 3:
        raise UserError("family resnet18 needs images of 3 channels")
    classes = len(input_spec["classes"])
    blocks = [
        (f"layer{stage}.{block}", width)
        for stage, width in enumerate(STAGE_WIDTHS, 1)
        for block in range(BLOCKS_PER_STAGE)
    ]

    def build(hidden: Sequence[int], norm: bool, trunk_blocks: int) -> nn.Module:
        return ResNet18(hidden, classes=classes, norm=norm, trunk_blocks=trunk_blocks)

    return residual_family("resnet18", settings, input_spec, blocks, build)
