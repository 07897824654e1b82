"""Opening whatever file holds networks: an INR, or one network that was taken out of it."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from neumeta.core.boundary import called_by_users
from neumeta.core.checkpoint import read_header
from neumeta.core.device import CPU, choose_device
from neumeta.core.errors import UserError
from neumeta.core.files import file_name
from neumeta.methods.metamorphosis.morph import load as load_inr
from neumeta.models.shrink.file import read_shrunk
from neumeta.models.stored_network import load_network


@called_by_users
def load(
    path: str | Path,
    device: torch.device | str = CPU,
    *,
    network: nn.Module | str | None = None,
) -> Any:
    """Open a trained INR, a network that was sampled from one, or one that was shrunk.

    Args:
        path: An INR, as the train stage writes it, or a network, as `neumeta sample` or `neumeta
            shrink` does.
        device: Where its networks are made.
        network: Of files of a network of one's own: one of the same architecture, whose weights
            count for nothing, or the text of its builder, `package.module:function`, which is run
            with the options that the file names.

    Returns:
        A `MorphableNetwork`; of a network alone that network, which is an `nn.Module`: sampled, a
        `StoredNetwork`.

    Raises:
        UserError: If the file is missing, damaged, holds something else, or does not fit its own
            header.
    """
    place = choose_device(device) if isinstance(device, str) else device
    name = file_name(path)
    kind = read_header(name)["kind"]
    if kind == "shrunk":
        build = network if isinstance(network, str) else None
        return read_shrunk(name, build)[0].to(place)
    if isinstance(network, str):
        from neumeta.models.traced.builder import builder  # a second that others need not wait

        network = builder(network, _options(name))()
    if not isinstance(network, nn.Module | None):
        raise UserError(f"network is a {type(network).__name__}; must be a torch.nn.Module")
    if kind == "inr":
        return load_inr(name, place, network)
    if kind == "network":
        return load_network(name, place, network)
    raise UserError(
        f"{name}: holds a {kind!r} checkpoint; must be an 'inr', a 'network' or a 'shrunk'"
    )


def _options(name: str) -> dict[str, Any]:
    """Arguments of the builder, as the header of a file names them."""
    family = read_header(name).get("family")
    found = family.get("options") if isinstance(family, dict) else None
    return found if isinstance(found, dict) else {}
