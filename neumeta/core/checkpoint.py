"""Checkpoints: safetensors with one JSON header, written atomically, loaded strictly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_bytes

HEADER_KEY = "neumeta"

Tensors = dict[str, torch.Tensor]


def to_bytes(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> bytes:
    """Serialise tensors and header; equal content gives equal bytes.

    The header is ONE metadata entry, because safetensors does not fix the order of several.

    Args:
        tensors: Named tensors of any shape.
        header: JSON-ready description; must hold the key `kind`.

    Returns:
        The content of a safetensors file.
    """
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    plain = {name: value.detach().cpu().contiguous() for name, value in sorted(tensors.items())}
    return save(plain, metadata={HEADER_KEY: text})


def write_checkpoint(
    path: str | Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]
) -> None:
    """Write a checkpoint atomically.

    Args:
        path: Target file.
        tensors: Named tensors of any shape.
        header: JSON-ready description; must hold the key `kind`.
    """
    atomic_write_bytes(path, to_bytes(tensors, header))


def read_header(path: str | Path, kind: str | None = None) -> dict[str, Any]:
    """Read only the JSON header of a checkpoint.

    Args:
        path: A file written by `write_checkpoint`.
        kind: Expected kind, such as `dataset`, `network` or `inr`; None accepts any.

    Returns:
        The header.

    Raises:
        UserError: If the file is missing, truncated, of another kind or without header.
    """
    try:
        with safe_open(str(path), framework="pt") as stream:
            metadata = stream.metadata() or {}
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f"{path}: no such checkpoint") from error
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: damaged or not a safetensors file ({reason})") from error
    try:
        header = json.loads(metadata[HEADER_KEY])
    except (KeyError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: has no neumeta header; was it written by neumeta?") from error
    if kind is not None and header.get("kind") != kind:
        raise UserError(f"{path}: holds a {header.get('kind')!r} checkpoint; must be {kind!r}")
    return header


def read_checkpoint(path: str | Path, kind: str | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Read a checkpoint whole.

    Args:
        path: A file written by `write_checkpoint`.
        kind: Expected kind; None accepts any.

    Returns:
        The tensors by name, and the header.

    Raises:
        UserError: As `read_header`.
    """
    header = read_header(path, kind)
    try:
        with safe_open(str(path), framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged ({' '.join(str(error).split())})") from error
    return tensors, header


def require_tensors(
    path: str | Path, tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> None:
    """Compare names, shapes and dtypes with what a model needs; nothing is skipped silently.

    Args:
        path: Named in the error.
        tensors: What was loaded.
        expected: Tensors of the right names, shapes and dtypes.

    Raises:
        UserError: On the first missing, extra or mismatched tensor.
    """
    if missing := sorted(set(expected) - set(tensors)):
        raise UserError(f"{path}: tensor {missing[0]!r} is missing ({len(missing)} in all)")
    if extra := sorted(set(tensors) - set(expected)):
        allowed = ", ".join(sorted(expected))
        raise UserError(f"{path}: unexpected tensor {extra[0]!r}; allowed are {allowed}")
    for name, want in expected.items():
        have = tensors[name]
        if have.shape != want.shape or have.dtype != want.dtype:
            raise UserError(
                f"{path}: tensor {name!r} is {tuple(have.shape)} {have.dtype}; "
                f"must be {tuple(want.shape)} {want.dtype}"
            )
