"""Whether a permuted network is still the same function."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from neumeta.core.errors import UserError


@dataclass(frozen=True)
class FunctionChange:
    """What other weights do to the outputs of a network.

    Attributes:
        absolute: Largest change of any output.
        relative: The same as a share of the largest output.
    """

    absolute: float
    relative: float


def function_change(
    network: nn.Module, before: Mapping[str, Tensor], after: Mapping[str, Tensor], *inputs: Tensor
) -> FunctionChange:
    """Compare outputs in double precision.

    Double precision leaves only true differences: a wrong order shows up at the size of the
    outputs, mere rounding at 1e-12.

    Args:
        network: The architecture, for example on the meta device.
        before: Parameters, and buffers where there are any, by name.
        after: Likewise.
        *inputs: Real inputs of its forward, batch first.

    Returns:
        The largest change over all outputs.
    """

    def double(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {n: v.double() if v.is_floating_point() else v for n, v in values.items()}

    arguments = tuple(value.double() for value in inputs)
    own = double({name: b for name, b in network.named_buffers() if not b.is_meta})
    with torch.no_grad():
        first, second = (
            functional_call(network, {**own, **double(values)}, arguments)
            for values in (before, after)
        )
    change = (first - second).abs().max().item()
    return FunctionChange(change, change / max(first.abs().max().item(), 1e-300))


def assert_function_preserved(error: float, tolerance: float) -> None:
    """Refuse a permutation that changes the function.

    Args:
        error: Largest change of any output.
        tolerance: Largest allowed.

    Raises:
        UserError: If the error is above the tolerance, or not a number.
    """
    if not error <= tolerance:
        raise UserError(
            f"permutation changes outputs by {error:.2e}; allowed is {tolerance:.0e}: "
            "the clique groups do not match the network"
        )
