"""What a network costs: parameters and multiply-accumulate operations."""

import copy

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_params(network: nn.Module) -> int:
    """Count the parameters of the whole network.

    Args:
        network: Any module.

    Returns:
        Number of scalars.
    """
    return sum(value.numel() for value in network.parameters())


def count_macs(network: nn.Module, example: Tensor) -> int:
    """Count multiply-accumulates of matrix products and convolutions for one example.

    Args:
        network: Any module.
        example: One input, batch axis first, of batch size 1.

    Returns:
        Half of torch's floating-point operation count.
    """
    if example.is_meta:
        network = copy.deepcopy(network).to("meta")  # its buffers may have numbers
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(example)
    return int(counter.get_total_flops()) // 2
