"""A network in two parts: a trunk that never changes and a tail that holds all that morphs."""

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn
from torch.func import functional_call

Part = Literal["whole", "trunk", "tail"]


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
    return functional_call(network, dict(weights), (inputs,), options)
