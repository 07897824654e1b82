"""Opening whatever file holds networks: an INR, or one network that was taken out of it."""

from pathlib import Path

import torch

from neumeta.core.boundary import called_by_users
from neumeta.core.checkpoint import read_header
from neumeta.core.device import CPU, choose_device
from neumeta.core.errors import UserError
from neumeta.core.files import file_name
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.methods.metamorphosis.morph import load as load_inr
from neumeta.models.stored_network import StoredNetwork, load_network


@called_by_users
def load(path: str | Path, device: torch.device | str = CPU) -> MorphableNetwork | StoredNetwork:
    """Open a trained INR, or a network that was sampled from one.

    Args:
        path: An INR, as the train stage writes it, or a network, as `neumeta sample` does.
        device: Where its networks are made.

    Returns:
        The morphable network; of a network alone that network, which is an `nn.Module`.

    Raises:
        UserError: If the file is missing, damaged, holds something else, or does not fit its own
            header.
    """
    place = choose_device(device) if isinstance(device, str) else device
    name = file_name(path)
    kind = read_header(name)["kind"]
    if kind == "inr":
        return load_inr(name, place)
    if kind == "network":
        return load_network(name, place)
    raise UserError(f"{name}: holds a {kind!r} checkpoint; must be an 'inr' or a 'network'")
