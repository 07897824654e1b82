"""How long a network takes for one input, on this machine."""

import statistics
import time

import torch
from torch import Tensor, nn

from neumeta.core.device import describe

WARM_UP = 5
RUNS = 30


def latency(network: nn.Module, example: Tensor, runs: int = RUNS) -> float:
    """Time a network, after a few runs that do not count.

    Args:
        network: With its weights, in evaluation mode, where the example lies.
        example: One input, batch axis first, of batch size 1.
        runs: How many are timed.

    Returns:
        Median, seconds.
    """
    times = []
    with torch.inference_mode():
        for number in range(WARM_UP + runs):
            _wait_for(example.device)
            start = time.perf_counter()
            network(example)
            _wait_for(example.device)
            if number >= WARM_UP:
                times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine(device: torch.device) -> str:
    """Say what latencies were measured on.

    Args:
        device: Where the network lay.

    Returns:
        Its name, and of a CPU the number of threads.
    """
    threads = torch.get_num_threads()
    told = describe(device)
    if device.type != "cpu":
        return told
    return f"{told}, {threads} {'thread' if threads == 1 else 'threads'}"


def _wait_for(device: torch.device) -> None:
    """Let a device that computes beside the program finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
