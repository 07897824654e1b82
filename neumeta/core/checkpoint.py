"""Checkpoints: safetensors with one JSON header, written atomically, loaded strictly.

The header holds a hash of the tensors, so that an altered byte is noticed wherever it is. What is
read is also finite and below `MOST`, in files without such a hash, too, as earlier versions wrote.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_bytes, file_name
from neumeta.core.targets import check_targets, checkpoint

HEADER_KEY = "neumeta"
SEAL = "payload_sha256"
MOST = 1e12  # no weight or statistic of a network is larger

Tensors = dict[str, torch.Tensor]


def to_bytes(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> bytes:
    """Serialise tensors and header; equal content gives equal bytes.

    The header is ONE metadata entry, because safetensors does not fix the order of several.

    Args:
        tensors: Named tensors of any shape.
        header: JSON-ready description; must hold the key `kind`. The hash is added.

    Returns:
        The content of a safetensors file.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in sorted(tensors.items())}
    text = json.dumps({**header, SEAL: payload_sha256(plain)}, sort_keys=True, allow_nan=False)
    return save(plain, metadata={HEADER_KEY: text})


def payload_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash names, types, shapes and values of tensors.

    Args:
        tensors: Named tensors of any shape, on the processor.

    Returns:
        64 hexadecimal digits; equal for equal tensors in any order.
    """
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def write_checkpoint(
    path: str | Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]
) -> None:
    """Write a checkpoint atomically.

    Args:
        path: Target file; one that is there must be a checkpoint of the same kind.
        tensors: Named tensors of any shape.
        header: JSON-ready description; must hold the key `kind`.
    """
    check_targets([], [(path, checkpoint(header["kind"], suffix=""))])
    atomic_write_bytes(path, to_bytes(tensors, header))


@contextmanager
def trusting(path: str | Path) -> Iterator[None]:
    """Turn what an edited header leads to into one line.

    Args:
        path: The file whose header is used within.

    Yields:
        Nothing.

    Raises:
        UserError: Naming the file, for any error of a value that is not as it should be.
    """
    try:
        yield
    except UserError as error:
        named = str(error).startswith(str(path))
        raise error if named else UserError(f"{path}: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        kind = f"lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise UserError(f"{path}: its header is damaged or of another version ({kind})") from error
    except (RuntimeError, MemoryError) as error:  # torch's, of sizes that cannot be
        raise UserError(f"{path}: its header describes nothing that can be built") from error


@called_by_users
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
    name = file_name(path)
    try:
        with safe_open(name, framework="pt") as stream:
            metadata = stream.metadata() or {}
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f"{path}: no such checkpoint") from error
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: damaged or not a safetensors file ({reason})") from error
    try:
        header = json.loads(metadata[HEADER_KEY])
    except (KeyError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: has no neumeta header; was it written by neumeta?") from error
    if not isinstance(header, dict) or not isinstance(header.get("kind"), str):
        raise UserError(f"{path}: its header does not say what it holds; was it edited?")
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
        UserError: As `read_header`; also where a tensor is not finite, or not the one that was
            sealed.
    """
    header = read_header(path, kind)
    try:
        with safe_open(file_name(path), framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged ({' '.join(str(error).split())})") from error
    for name, value in tensors.items():
        if value.is_floating_point() and not bool((value.abs() <= MOST).all()):
            raise UserError(
                f"{path}: damaged: tensor {name!r} holds NaN, infinity or above {MOST:g}"
            )
    sealed = header.pop(SEAL, None)
    if sealed is not None and sealed != payload_sha256(tensors):
        raise UserError(f"{path}: damaged: its tensors are not those that were written")
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
