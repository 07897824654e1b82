"""Copying parameters out of a network, putting them in, and moving them between devices."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """Copy the parameters of a network.

    Args:
        network: Any module.

    Returns:
        Detached copies by name.
    """
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def load_parameters(
    network: nn.Module, weights: Mapping[str, Tensor], *, assign: bool = False
) -> nn.Module:
    """Put parameters into a network, strictly; its buffers stay what they are.

    Args:
        network: The architecture; changed in place.
        weights: All parameters by name.
        assign: Whether the network takes the tensors themselves, and not their numbers; its buffers
            then move to where they lie.

    Returns:
        The same network.
    """
    first: dict[int, str] = {}
    state = dict(weights)
    for name, value in network.named_parameters(remove_duplicate=False):
        if (known := first.setdefault(id(value), name)) != name and known in weights:
            state[name] = weights[known]  # one parameter under two names
    kept = {name for name, _ in network.named_buffers(remove_duplicate=False)}
    state |= {name: value for name, value in network.state_dict().items() if name in kept}
    network.load_state_dict(state, strict=True, assign=assign)
    if assign and weights:
        place = place_of(weights)
        for module in network.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None and not buffer.is_meta:
                    module._buffers[name] = buffer.to(place)
    return network


def moved(weights: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Move parameters.

    Args:
        weights: Tensors by name.
        device: Where to.

    Returns:
        Tensors by name; those that lie there already are shared.
    """
    return {name: value.to(device) for name, value in weights.items()}


def place_of(weights: Mapping[str, Tensor]) -> torch.device:
    """Tell where the parameters of a network lie.

    Args:
        weights: At least one tensor by name, all on one device.

    Returns:
        The device.
    """
    return next(iter(weights.values())).device
