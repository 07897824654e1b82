"""Writing a sampled network: safetensors for neumeta and PyTorch, ONNX for everybody else."""

import copy
import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neumeta.core.checkpoint import write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_bytes
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of

SUFFIXES = (".safetensors", ".onnx")


def check_suffix(path: str | Path) -> None:
    """Refuse a file name whose format is unknown, before any work is done.

    Args:
        path: Target file.

    Raises:
        UserError: If the suffix is neither .safetensors nor .onnx.
    """
    if Path(path).suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown format; use a name that ends in {' or '.join(SUFFIXES)}")


def export_network(
    path: str | Path, network: nn.Module, family: Family, at: Point, origin: Mapping[str, Any]
) -> None:
    """Write a sampled network in the format that its file name asks for.

    Args:
        path: Ends in .safetensors or .onnx.
        network: The network, in evaluation mode.
        family: Its family.
        at: Its point.
        origin: JSON-ready facts of the sampling, kept in the safetensors header.
    """
    check_suffix(path)
    if Path(path).suffix == ".onnx":
        atomic_write_bytes(path, to_onnx(network, family))
        return
    header = {"kind": "network", **at.values(), "permuted": True, **family.header(), **origin}
    write_checkpoint(path, parameters_of(network), header)


def to_onnx(network: nn.Module, family: Family) -> bytes:
    """Export with a free batch axis; input `images` (normalised), output `outputs`.

    Args:
        network: The network, in evaluation mode, on any device; not changed.
        family: Gives the input shape.

    Returns:
        The content of an ONNX file.
    """
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        program = torch.onnx.export(
            copy.deepcopy(network).cpu(),
            (family.example_input(2),),
            dynamo=True,
            input_names=["images"],
            output_names=["outputs"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    buffer = io.BytesIO()
    buffer.write(program.model_proto.SerializeToString())
    return buffer.getvalue()
