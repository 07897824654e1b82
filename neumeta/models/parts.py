"""A network in two parts: a trunk that never changes and a tail that holds all that morphs."""

from collections.abc import Mapping
from typing import Any, Literal, no_type_check

import torch
from torch import Tensor, nn
from torch.func import functional_call

Part = Literal["whole", "trunk", "tail"]
_META = torch.device("meta")


class Stage(nn.Sequential):
    """Blocks one after the other, of which the first belong to the trunk."""

    def __init__(self, *blocks: nn.Module, trunk_blocks: int) -> None:
        """Put the blocks in order.

        Args:
            *blocks: All of them.
            trunk_blocks: How many belong to the trunk; may be below none or above all of them.
        """
        super().__init__(*blocks)
        self.trunk_blocks = trunk_blocks

    @no_type_check  # torch.jit.script reads it, and knows plain types alone
    def forward(self, inputs: Tensor, part: str = "whole") -> Tensor:
        """Apply the blocks of one part of the network.

        Args:
            inputs: Maps, shape (n, c, h, w).
            part: Which part; see `Part`.

        Returns:
            Maps, shape (n, d, h2, w2).
        """
        value = inputs
        for place, block in enumerate(self):
            if part == "whole" or (part == "trunk") == (place < self.trunk_blocks):
                value = block(value)
        return value


def apply_part(
    network: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor, part: Part = "whole"
) -> Any:
    """Apply a network, or one part of it, with the given weights.

    Args:
        network: The architecture; its own parameters are not used, so it may be on meta.
        weights: All parameters by name.
        inputs: Inputs of that part, batch first.
        part: Which part; networks without parts know only `whole`.

    Returns:
        Outputs of that part, batch first.
    """
    options = {} if part == "whole" else {"part": part}
    own = {
        name: value.to(inputs.device)
        for name, value in network.named_buffers()
        if value.device not in (inputs.device, _META)
    }
    return functional_call(network, {**own, **weights}, (inputs,), options)
