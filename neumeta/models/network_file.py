"""Reading a checkpoint of one ordinary network."""

from pathlib import Path

from torch import Tensor, nn

from neumeta.core.checkpoint import read_checkpoint, require_tensors, trusting
from neumeta.models.family import Family
from neumeta.models.registry import family_from_header


def read_network(
    path: str | Path, network: nn.Module | None = None
) -> tuple[dict[str, Tensor], Family, dict[str, object]]:
    """Read the parameters of a network and the family it belongs to.

    Args:
        path: A checkpoint of kind `network`.
        network: See `family_from_header`.

    Returns:
        Parameters by name, the family, and the header.

    Raises:
        UserError: If the file is missing, damaged, or does not fit its own header.
    """
    weights, header = read_checkpoint(path, "network")
    with trusting(path):
        family = family_from_header(header, network)
        at = family.at(**{axis.name: header[axis.name] for axis in family.axes})
        require_tensors(path, weights, dict(family.skeleton(at).named_parameters()))
    return weights, family, header
