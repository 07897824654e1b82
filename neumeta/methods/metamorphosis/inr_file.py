"""The file of a trained INR: everything that is needed to build networks of any width."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from neumeta.core.checkpoint import read_checkpoint, require_tensors, trusting, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.fields import MOST_NOISE, Section, Seed, Width
from neumeta.core.targets import Output, folder_of
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.methods.metamorphosis.params.train import (
    CoordinateParams,
    EncodingParams,
    NetworkParams,
)
from neumeta.models.family import Family
from neumeta.models.registry import family_from_header


class InrShape(Section):
    """How an INR is built: three parts of a section `train`."""

    coordinates: CoordinateParams
    encoding: EncodingParams
    network: NetworkParams


class InrFacts(Section):
    """What the header of an INR says beside its family."""

    inr: InrShape
    noise: float = Field(ge=0, le=MOST_NOISE, description="half range of sampling, channels")
    seed: Seed
    train_widths: list[Width] = Field(min_length=1)
    data_sha256: str


HEADER_KEYS = tuple(InrFacts.model_fields)
_NAME = re.compile(r"seed-(0|[1-9][0-9]{0,9})\.safetensors")


def inr_name(seed: int) -> str:
    """Name the file of the INR of a seed.

    Args:
        seed: Of its training.

    Returns:
        The name without a folder.
    """
    return f"seed-{seed}.safetensors"


def inr_files(folder: str | Path) -> list[Path]:
    """List the INRs of an experiment by seed.

    Args:
        folder: Output folder of the train stage.

    Returns:
        Files in the order of their seeds; empty where there is none.

    Raises:
        UserError: If a file is named nearly so: nobody knows whether it is meant.
    """
    found: dict[int, Path] = {}
    for path in sorted(Path(folder).glob("seed-*.safetensors")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise UserError(f"{path}: is no seed-N.safetensors; INRs are named by their seed")
        found[int(match[1])] = path
    return [found[seed] for seed in sorted(found)]


def inr_folder() -> Output:
    """Say that the folder of INRs is written.

    Returns:
        The kind of output.
    """
    return folder_of(
        "a folder of seed-N.safetensors",
        lambda folder: all(
            _NAME.fullmatch(path.name) or path.name.startswith(".") for path in folder.iterdir()
        ),
    )


def write_inr(
    path: str | Path,
    inr: WeightGenerator,
    base: Mapping[str, Tensor],
    description: Mapping[str, Any],
) -> None:
    """Write a trained INR.

    Args:
        path: Target file.
        inr: The (averaged) INR.
        base: Permuted base parameters; those not generated go into the file.
        description: Keys `noise` (half range of sampling, channels), `seed`, `train_widths`,
            `data_sha256`, and what else shall be known of it.
    """
    tensors = {f"inr.{name}": value for name, value in inr.state_dict().items()}
    generated = inr.family.generated
    tensors |= {f"frozen.{n}": v for n, v in base.items() if n not in generated}
    header = {"kind": "inr", "inr": inr.settings, **inr.family.header(), **description}
    write_checkpoint(path, tensors, header)


def read_inr(
    path: str | Path, network: nn.Module | None = None
) -> tuple[Family, WeightGenerator, dict[str, Tensor], dict[str, Any]]:
    """Read a trained INR, strictly.

    Args:
        path: A checkpoint of kind `inr`.
        network: See `family_from_header`.

    Returns:
        The family, the INR without gradients, the tensors that are not generated, the header.

    Raises:
        UserError: If the file is missing, damaged, or does not fit its own header.
    """
    tensors, header = read_checkpoint(path, "inr")
    if missing := [key for key in HEADER_KEYS if key not in header]:
        raise UserError(f"{path}: the header lacks {missing[0]!r}; was it written by neumeta?")
    try:
        InrFacts.model_validate({key: header[key] for key in HEADER_KEYS})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise UserError(
            f"{path}: the header describes no INR of this version: {place}: {fault['msg']}"
        ) from error
    with trusting(path):
        family = family_from_header(header, network)
        inr = WeightGenerator(family, header["inr"], torch.Generator())
        own = inr.state_dict()
        frozen_like = {
            name: value
            for name, value in family.skeleton(family.base).named_parameters()
            if name not in family.generated
        }
        expected = {f"inr.{name}": value for name, value in own.items()}
        expected |= {f"frozen.{name}": value for name, value in frozen_like.items()}
        require_tensors(path, tensors, expected)
    inr.load_state_dict({name: tensors[f"inr.{name}"] for name in own})
    inr.requires_grad_(False)
    return family, inr, {name: tensors[f"frozen.{name}"] for name in frozen_like}, header
