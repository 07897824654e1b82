"""Reading the weights of an ordinary network from a file of any origin; no code of it is run."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from neumeta.core.errors import UserError


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a file of weights.

    Args:
        path: Safetensors, or a PyTorch state dict.

    Returns:
        See `parse_weights`.

    Raises:
        UserError: If the file cannot be read or holds no weights.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read the weights: {error.strerror}") from error
    return parse_weights(content, str(path))


def parse_weights(content: bytes, where: str) -> dict[str, Tensor]:
    """Read safetensors or a PyTorch state dict, as a whole file or under its key `state_dict`.

    Args:
        content: Of the file.
        where: Its name, for errors.

    Returns:
        Tensors by name, without the prefix `module.` of data-parallel training.

    Raises:
        UserError: If it is neither, or holds anything but tensors.
    """
    value: Any
    try:
        value = load_safetensors(content)
    except SafetensorError:
        value = _state_dict(content, where)
    if isinstance(value, Mapping) and isinstance(value.get("state_dict"), Mapping):
        value = value["state_dict"]
    if not isinstance(value, Mapping) or not all(isinstance(v, Tensor) for v in value.values()):
        raise UserError(f"{where}: holds no state dict; expected names and tensors")
    return {str(name).removeprefix("module."): tensor for name, tensor in value.items()}


def _state_dict(content: bytes, where: str) -> Any:
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a file of any content; torch raises whatever it stumbles over
        raise UserError(
            f"{where}: neither safetensors nor a PyTorch state dict of plain tensors"
        ) from error
