"""Which device computes: chosen once by a stage, then handed down as an argument.

All random numbers are drawn on the CPU and moved, so that a seed means the same draws everywhere.
Files, tables and resumed states are of the CPU, too; a device holds what is computed with.
"""

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.core.fields import Precision

CPU = torch.device("cpu")
DEVICE_VARIABLE = "NEUMETA_DEVICE"
_PREFERRED = ("cuda", "mps", "cpu")
_NAMES = re.compile(r"auto|cpu|mps|cuda(:(0|[1-9]\d*))?")


def choose_device(flag: str | None = None) -> torch.device:
    """Choose the device of a stage.

    The default is `auto`: cuda where there is one, else mps, else cpu. A machine without an
    accelerator thus computes what it always has; with one, results are the same up to rounding,
    and NEUMETA_DEVICE=cpu gives the CPU's bytes.

    Args:
        flag: What the flag `--device` says, which wins; None to ask $NEUMETA_DEVICE.

    Returns:
        The device.

    Raises:
        UserError: If the name is unknown, or that device is not there.
    """
    if flag is not None:
        return resolve(flag, available(), "--device")
    return resolve(os.environ.get(DEVICE_VARIABLE) or "auto", available(), DEVICE_VARIABLE)


def available() -> tuple[str, ...]:
    """Look at what this machine has.

    Returns:
        Names of devices: `cpu`, every `cuda:N`, and `mps`.
    """
    cards = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ("cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else []))


def resolve(name: str, there: Sequence[str], source: str) -> torch.device:
    """Find the device of a name.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        there: Names of the devices that there are, as `available` lists them.
        source: Where the name stands, for errors.

    Returns:
        The device; `cuda` without a number is left so, for `own_card`.

    Raises:
        UserError: If the name is unknown, or that device is not there.
    """
    if not _NAMES.fullmatch(name):
        raise UserError(f"{source} is {name!r}; must be auto, cpu, cuda, cuda:N or mps")
    kinds = {place.partition(":")[0] for place in there}
    if name == "auto":
        name = next(kind for kind in _PREFERRED if kind in kinds)
    if name not in kinds | set(there):
        raise UserError(f"{source} is {name!r}; this machine has {', '.join(there)}")
    return torch.device(name)


def own_card(device: torch.device, rank: int, there: Sequence[str]) -> torch.device:
    """Give each of several processes on a machine a card of its own.

    Args:
        device: What was chosen for all of them.
        rank: Number of this process on its machine, from 0.
        there: Names of the devices that there are.

    Returns:
        With `cuda` the card of that number; any other device as it is.

    Raises:
        UserError: If one card is asked to serve several processes, or there are too few.
    """
    if device.type != "cuda":
        return device
    if str(device) != "cuda":
        raise UserError(
            f"the device is {str(device)!r}, but several processes need a card each; must be cuda"
        )
    if (own := f"cuda:{rank}") not in there:
        raise UserError(
            f"process {rank} of this machine finds no {own}; this machine has {', '.join(there)}"
        )
    return torch.device(own)


def describe(device: torch.device) -> str:
    """Name a device for the record of a run.

    Args:
        device: Where a stage computed.

    Returns:
        Such as `cpu`, or `cuda:0 (NVIDIA H100)`.
    """
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Choose the type of matrix products on a device.

    Args:
        device: Where they run; products elsewhere keep their type.
        precision: As the params name it.

    Returns:
        A context in which they run in that type.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def drawn(
    sampler: Callable[..., Tensor],
    *arguments: Any,
    generator: torch.Generator | None,
    device: torch.device = CPU,
) -> Tensor:
    """Draw random numbers on the CPU and move them.

    Args:
        sampler: Such as `torch.rand`, `torch.randint`, `torch.randperm`.
        *arguments: Of the sampler.
        generator: Source of randomness, of the CPU; None for torch's own, of the CPU too.
        device: Where the numbers are needed.

    Returns:
        What the sampler gives, the same on every device.
    """
    return sampler(*arguments, generator=generator).to(device)
