"""Writing a sampled network: safetensors for neumeta and PyTorch, ONNX for everybody else."""

import copy
import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from neumeta.core.checkpoint import read_header, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_bytes, file_name
from neumeta.core.targets import Output, check_targets
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of

KIND = "network"
SUFFIXES = (".safetensors", ".onnx")


def output_of(path: str | Path) -> Output:
    """Tell by its name what is written to a file.

    Args:
        path: Target file.

    Returns:
        The kind of output.

    Raises:
        UserError: If the suffix is neither .safetensors nor .onnx.
    """
    suffix = Path(file_name(path)).suffix
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown format; use a name that ends in {' or '.join(SUFFIXES)}")
    if suffix == ".onnx":
        return Output("an ONNX network of neumeta", suffix, _is_ours)
    return Output("a sampled network", suffix, _is_sampled)


def _is_sampled(path: Path) -> bool:
    try:
        return "origin" not in read_header(path, KIND)  # networks of stages tell theirs
    except UserError:
        return False


def _is_ours(path: Path) -> bool:
    try:
        graph = onnx.load(path, load_external_data=False)
    except Exception:  # a file of any content
        return False
    return any(entry.key == "kind" for entry in graph.metadata_props)


def export_network(
    path: str | Path, network: nn.Module, family: Family, at: Point, origin: Mapping[str, Any]
) -> None:
    """Write a sampled network in the format that its file name asks for.

    Args:
        path: Ends in .safetensors or .onnx; a file that is there must be such a network, too.
        network: The network, in evaluation mode.
        family: Its family.
        at: Its point.
        origin: JSON-ready facts of the sampling, kept in the file.
    """
    check_targets([], [(path, output_of(path))])
    if Path(path).suffix == ".onnx":
        facts = {**at.values(), **origin}
        atomic_write_bytes(path, to_onnx(network, family, facts))
        return
    header = {"kind": KIND, **at.values(), "permuted": True, **family.header(), **origin}
    write_checkpoint(path, parameters_of(network), header)


def to_onnx(network: nn.Module, family: Family, facts: Mapping[str, Any]) -> bytes:
    """Export with a free batch axis; input `images` (normalised), output `outputs`.

    What the network takes lies in `metadata_props`, texts as they are and all else as JSON:
    `image_shape` (channels, height, width), `pixel_range` of raw images, `mean` and `std` per
    channel of pixels divided by the largest, the names of the `classes` in the order of the
    outputs, `dataset` and `task`.

    Args:
        network: The network, in evaluation mode, on any device; not changed.
        family: Gives the input shape, and what the network takes.
        facts: JSON-ready, kept beside it.

    Returns:
        The content of an ONNX file.
    """
    spec = dict(family.input_spec)
    spec["pixel_range"] = [0, spec.pop("pixel_max")]
    told = {"kind": KIND, "family": family.name, **spec, **facts}
    return onnx_of(network, family.example_input(2), told)


def onnx_of(network: nn.Module, example: torch.Tensor, facts: Mapping[str, Any]) -> bytes:
    """Export any network of images with a free batch axis.

    Args:
        network: The network, in evaluation mode, on any device; not changed.
        example: Its input, a batch of two or more.
        facts: JSON-ready, kept as metadata: texts as they are, all else as JSON.

    Returns:
        The content of an ONNX file.
    """
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        program = torch.onnx.export(
            copy.deepcopy(network).cpu(),
            (example,),
            dynamo=True,
            input_names=["images"],
            output_names=["outputs"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for key, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value)
        proto.metadata_props.add(key=key, value=text)
    return proto.SerializeToString(deterministic=True)
