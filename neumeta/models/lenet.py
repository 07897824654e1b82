"""The LeNet family: three convolutions of h, 2h, 4h channels and a linear classifier."""

from collections.abc import Mapping
from typing import Any, Literal, no_type_check

import torch.nn.functional as F
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.family import Family, width_axis
from neumeta.models.traced.family import Sizes, noise_for, traced_once, with_groups
from neumeta.models.traced.plan import Scope

Head = Literal["pooled", "corner"]


class LeNet(nn.Module):
    """Conv 3x3, 5x5, 5x5 (replicate padding), each with ReLU and 2x2 mean pooling, then linear.

    The `corner` head reads only cell (0, 0) of the last map, as the published code does; the
    `pooled` head reads the mean of the map.
    """

    def __init__(self, width: int, *, in_channels: int, classes: int, head: Head) -> None:
        """Build the network with torch's default initialisation.

        Args:
            width: Base width h, channels; the layers have h, 2h and 4h.
            in_channels: Channels of the input.
            classes: Number of outputs.
            head: What the classifier reads.
        """
        super().__init__()
        self.head = head
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, padding_mode="replicate")
        self.conv2 = nn.Conv2d(width, 2 * width, 5, padding=2, padding_mode="replicate")
        self.conv3 = nn.Conv2d(2 * width, 4 * width, 5, padding=2, padding_mode="replicate")
        self.linear = nn.Linear(4 * width, classes)

    @no_type_check  # torch.jit.script reads it, and knows plain types alone
    def forward(self, inputs: Tensor) -> Tensor:
        """Classify images.

        Args:
            inputs: Normalised images, shape (n, channels, height, width); sides of 8 or more.

        Returns:
            Logits, shape (n, classes).
        """
        maps = F.avg_pool2d(F.relu(self.conv1(inputs)), 2)
        maps = F.avg_pool2d(F.relu(self.conv2(maps)), 2)
        maps = F.avg_pool2d(F.relu(self.conv3(maps)), 2)
        features = maps[:, :, 0, 0] if self.head == "corner" else maps.mean(dim=(2, 3))
        return self.linear(features)


def lenet_family(settings: Mapping[str, Any], input_spec: Mapping[str, Any]) -> Family:
    """The family in which every layer follows the width.

    Args:
        settings: The `family` section.
        input_spec: What the network takes.

    Returns:
        The family.

    Raises:
        UserError: If the images are too small, or the base network has one channel.
    """
    channels, height, width = input_spec["image_shape"]
    if min(height, width) < 8:
        raise UserError(f"family lenet needs images of 8 x 8 or more, got {height} x {width}")
    classes = len(input_spec["classes"])

    base = int(settings["base_width"])
    if base < 2:
        raise UserError(
            f"family lenet: base_width is {base}; one channel cannot morph, use 2 or more"
        )

    def make(sizes: Sizes, norm: bool) -> nn.Module:
        width = sizes.get("conv1", base)
        return LeNet(width, in_channels=channels, classes=classes, head=settings["head"])

    family = Family("lenet", settings, input_spec, (width_axis(settings),))
    found = traced_once(family, Scope(), lambda: (make({}, False), noise_for(family)))
    return with_groups(family, found, make)
