"""Writing a sampled network: safetensors for neumeta and PyTorch, ONNX for everybody else."""

import copy
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from neumeta.core.checkpoint import read_header, write_checkpoint
from neumeta.core.errors import UserError, first_line
from neumeta.core.files import atomic_write_bytes, file_name
from neumeta.core.targets import Output, check_targets
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of

KIND = "network"
SUFFIXES = (".safetensors", ".onnx")
OPSETS = (18, 25)  # which torch writes without a conversion that may be left undone


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


@dataclass(frozen=True)
class OnnxOptions:
    """How an ONNX file is written.

    Attributes:
        opset: Version of the operators, 18 to 25; None takes torch's own choice.
        raw: Whether it takes raw pixels, the normalisation lying inside.
    """

    opset: int | None = None
    raw: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be written.

        Raises:
            UserError: If the opset is none of those.
        """
        low, high = OPSETS
        if self.opset is not None and self.opset not in range(low, high + 1):
            raise UserError(f"opset is {self.opset!r}; must be {low} to {high}")


def export_network(
    path: str | Path,
    network: nn.Module,
    family: Family,
    at: Point,
    origin: Mapping[str, Any],
    options: OnnxOptions | None = None,
) -> None:
    """Write a sampled network in the format that its file name asks for.

    Args:
        path: Ends in .safetensors or .onnx; a file that is there must be such a network, too.
        network: The network, in evaluation mode.
        family: Its family.
        at: Its point.
        origin: JSON-ready facts of the sampling, kept in the file.
        options: Of an ONNX file.

    Raises:
        UserError: If the file is something else, or torch cannot export the network.
    """
    check_targets([], [(path, output_of(path))])
    if Path(path).suffix == ".onnx":
        facts = {**at.values(), **origin}
        atomic_write_bytes(path, to_onnx(network, family, facts, options))
        return
    header = {"kind": KIND, **at.values(), "permuted": True, **family.header(), **origin}
    write_checkpoint(path, parameters_of(network), header)


class TakesPixels(nn.Module):
    """A network with its normalisation before it."""

    middle: Tensor
    spread: Tensor

    def __init__(self, network: nn.Module, spec: Mapping[str, Any]) -> None:
        """Put them together.

        Args:
            network: Takes normalised images.
            spec: What it takes, see `Dataset.input_spec`.
        """
        super().__init__()
        self.network = network
        most = float(spec["pixel_max"])
        self.register_buffer("middle", torch.tensor(spec["mean"]).view(1, -1, 1, 1) * most)
        self.register_buffer("spread", torch.tensor(spec["std"]).view(1, -1, 1, 1) * most)

    def forward(self, images: Tensor) -> Any:
        """Run the network.

        Args:
            images: Raw pixels, shape (n, channels, height, width).

        Returns:
            What the network says.
        """
        return self.network((images.float() - self.middle) / self.spread)


def to_onnx(
    network: nn.Module,
    family: Family,
    facts: Mapping[str, Any],
    options: OnnxOptions | None = None,
) -> bytes:
    """Export with a free batch axis; input `images`, output `outputs`.

    What the network takes lies in `metadata_props`, texts as they are and all else as JSON:
    `image_shape` (channels, height, width), `pixel_range` of raw images, `mean` and `std` per
    channel of pixels divided by the largest, the names of the `classes` in the order of the
    outputs, `dataset`, `task`, and whether the `preprocessing` lies `inside` or `outside`. Inside,
    images are raw pixels: bytes, or float32 where the largest pixel is 1; outside, normalised.

    Args:
        network: The network, in evaluation mode, on any device; not changed.
        family: Gives the input shape, and what the network takes.
        facts: JSON-ready, kept beside it.
        options: How; normalised images and torch's opset, if not given.

    Returns:
        The content of an ONNX file.

    Raises:
        UserError: If torch cannot export the network.
    """
    chosen, spec = options or OnnxOptions(), dict(family.input_spec)
    made, example = network, family.example_input(2)
    if chosen.raw:
        made = TakesPixels(copy.deepcopy(network).cpu(), spec).eval()
        example = example if spec["pixel_max"] == 1 else example.to(torch.uint8)
    spec["pixel_range"] = [0, spec.pop("pixel_max")]
    spec["preprocessing"] = "inside" if chosen.raw else "outside"
    told = {"kind": KIND, "family": family.name, **spec, **facts}
    return onnx_of(made, example, told, chosen.opset)


def onnx_of(
    network: nn.Module, example: Tensor, facts: Mapping[str, Any], opset: int | None = None
) -> bytes:
    """Export any network of images with a free batch axis.

    Args:
        network: The network, in evaluation mode, on any device; not changed.
        example: Its input, a batch of two or more.
        facts: JSON-ready, kept as metadata: texts as they are, all else as JSON.
        opset: Version of the operators; None takes torch's own choice.

    Returns:
        The content of an ONNX file.

    Raises:
        UserError: If torch cannot export the network.
    """
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        try:
            program = torch.onnx.export(
                copy.deepcopy(network).cpu(),
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=["outputs"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
                opset_version=opset,
            )
        except Exception as error:  # whatever the exporter stumbles over in the network's code
            raise UserError(f"torch cannot export it to ONNX: {first_line(error)}") from error
    assert program is not None
    proto = program.model_proto
    for key, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value)
        proto.metadata_props.add(key=key, value=text)
    return proto.SerializeToString(deterministic=True)
