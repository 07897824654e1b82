"""Weights to try a network with: near its own, or of common sizes."""

from typing import Literal

import torch
from torch import Tensor

from neumeta.tracing.call import Call

Weights = Literal["disturbed", "other", "own"]
_MOVES = 4099  # a prime number, so that no axis repeats the list


def weights_for(
    call: Call, generator: torch.Generator, kind: Weights, *, double: bool
) -> dict[str, Tensor]:
    """Draw weights to try a network with.

    Args:
        call: Of the network.
        generator: Source of randomness, of the CPU.
        kind: `disturbed` are close to its own, but no layer is zero; `other` have the sizes that
            are common at the start of a training, whatever its own are.
        double: Whether they are to be in double precision.

    Returns:
        A tensor for each name of `call.tensors.own`.
    """
    parameters = {name for name, _ in call.network.named_parameters(remove_duplicate=False)}
    state: dict[str, Tensor] = {}
    for name, own in call.tensors.own.items():
        value = in_double(own)
        if kind != "own" and has_fractions(own):
            if name not in parameters:  # variances must stay positive
                value = value if kind == "disturbed" or value.is_complex() else value.clamp(-1, 1)
                value = value * _between(value, generator)
            elif kind == "disturbed":
                noise = _noise(value, generator)
                value = value * (1 + 0.3 * noise) + 0.03 * noise
            elif value.ndim < 2:
                value = _between(value, generator).to(value.dtype)
            else:
                fan_in = max(value.numel() // max(len(value), 1), 1)
                value = _noise(value, generator).to(value.dtype) * (2 / fan_in) ** 0.5
        state[name] = value if double else value.to(own.dtype)
    return state


def _between(value: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers between a half and three halves."""
    factor = torch.rand(value.shape, generator=generator, dtype=torch.double)
    return (0.5 + factor).to(value.device)


def _noise(value: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(value.shape, generator=generator, dtype=torch.double)
    return noise.to(value.device)


def nudged(value: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Move every number by a share of it, up or down.

    Args:
        value: Any tensor; one of whole numbers stays.
        share: How far, as a standard deviation.
        generator: Source of a short list of moves, which serves over and over.

    Returns:
        A new tensor.
    """
    if not has_fractions(value):
        return value
    moves = torch.randn(_MOVES, generator=generator, dtype=torch.double)
    moves = moves.repeat(value.numel() // _MOVES + 1)[: value.numel()].reshape(value.shape)
    return value * (1 + share * moves).to(value.device, _real(value.dtype))


def _real(dtype: torch.dtype) -> torch.dtype:
    return dtype.to_real() if dtype.is_complex else dtype


def in_double(value: Tensor) -> Tensor:
    """Bring numbers with a fraction to double precision.

    Args:
        value: Any tensor.

    Returns:
        The tensor in double precision, also of complex numbers; one of whole numbers as it is.
    """
    if value.is_complex():
        return value.to(torch.complex128)
    return value.double() if value.is_floating_point() else value


def has_fractions(value: Tensor) -> bool:
    """Tell tensors of real or complex numbers from those of whole ones.

    Args:
        value: Any tensor.

    Returns:
        Whether its numbers can have a fraction.
    """
    return value.is_floating_point() or value.is_complex()
