"""Reading the weights of an ordinary network from a file of any origin; no code of it is run."""

from pathlib import Path
from typing import Any

from safetensors.torch import load as load_safetensors
from torch import Tensor

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError
from neumeta.core.files import file_name
from neumeta.models.inert_pickle import load_inert
from neumeta.models.state_dicts import weights_in


@called_by_users
def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a file of weights.

    Args:
        path: Safetensors, or a PyTorch state dict.

    Returns:
        See `parse_weights`.

    Raises:
        UserError: If the file cannot be read or holds no weights.
    """
    name = file_name(path)
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read the weights: {error.strerror}") from error
    return parse_weights(content, str(path))


def parse_weights(content: bytes, where: str) -> dict[str, Tensor]:
    """Read safetensors, or what a training script saved by `torch.save`.

    Args:
        content: Of the file.
        where: Its name, for errors.

    Returns:
        Tensors by name, see `weights_in`.

    Raises:
        UserError: If it is neither, or holds no weights, or weights that are no numbers.
    """
    value: Any
    try:
        value = load_safetensors(content)
    except Exception:  # the library's own errors, and some of what it is built of
        value = _saved(content, where)
    return weights_in(value, where)


def _saved(content: bytes, where: str) -> Any:
    try:
        return load_inert(content)
    except Exception as error:  # a file of any content; torch raises whatever it stumbles over
        if "torchscript" in str(error).lower():
            raise UserError(
                f"{where}: is a TorchScript archive, which is code; save its state dict instead: "
                "torch.save(torch.jit.load(FILE).state_dict(), OTHER)"
            ) from error
        raise UserError(
            f"{where}: neither safetensors nor a PyTorch state dict of plain tensors that torch "
            "reads without running code (pickle protocol 2); save it anew by "
            "torch.save(state_dict, FILE)"
        ) from error
