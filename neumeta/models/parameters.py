"""Copying parameters out of a network and putting them in."""

from collections.abc import Mapping

from torch import Tensor, nn


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """Copy the parameters of a network.

    Args:
        network: Any module.

    Returns:
        Detached copies by name.
    """
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def load_parameters(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """Put parameters into a network, strictly.

    Args:
        network: The architecture; changed in place.
        weights: All parameters by name.

    Returns:
        The same network.
    """
    network.load_state_dict(dict(weights), strict=True)
    return network
