"""Shrinking a file of weights, and reading again what was written."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neumeta.core import targets
from neumeta.core.checkpoint import read_checkpoint, to_bytes, trusting
from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_bytes, check_writable, sha256_of
from neumeta.data.pictures import read_pictures
from neumeta.data.pixels import normalise
from neumeta.models.architectures import build_for
from neumeta.models.cost import count_macs, count_params
from neumeta.models.export import SUFFIXES, onnx_of, output_of
from neumeta.models.fitting import put_weights
from neumeta.models.shrink.shrink import COUNT, Method, shrink
from neumeta.models.traced.plan import Scope, Widths, first_units, make_plan
from neumeta.models.traced.resize import resized
from neumeta.models.traced.trust import check_trusted
from neumeta.models.weights_file import read_weights

KIND = "shrunk"
PIXEL_MAX = 255
# Of pixels divided by the largest: what the networks of torchvision were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """What is done to pictures before a network takes them.

    Attributes:
        side: Square to which they are resized, pixels; None for that of the architecture.
        mean: By channel, of pixels of 0 to 1; None for those of torchvision, or 0 for gray.
        std: Likewise, or 1 for gray.
    """

    side: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None

    def facts(self, shape: Sequence[int]) -> dict[str, Any]:
        """Fill in what is not given.

        Args:
            shape: Of an input of the architecture: channels, height, width.

        Returns:
            Image shape, mean and std.

        Raises:
            UserError: If there is not one number for each channel, or a std of 0 or less.
        """
        channels, side = shape[0], self.side or shape[1]
        if side < 1:
            raise UserError(f"--size is {side}; must be 1 or more, pixels")
        colour = channels == len(MEAN)
        mean = self.mean or (MEAN if colour else (0.0,) * channels)
        std = self.std or (STD if colour else (1.0,) * channels)
        for flag, numbers in (("--mean", mean), ("--std", std)):
            if len(numbers) != channels:
                raise UserError(
                    f"{flag} has {len(numbers)} numbers; must be {channels}, one for each channel"
                )
        if min(std) <= 0:
            raise UserError(f"--std holds {min(std)}; must be above 0")
        return {"image_shape": [channels, side, side], "mean": list(mean), "std": list(std)}


def output_kind(path: str | Path) -> targets.Output:
    """Tell by its name what is written to a file.

    Args:
        path: Target file.

    Returns:
        The kind of output.

    Raises:
        UserError: If the suffix is neither .safetensors nor .onnx.
    """
    kind = output_of(path)
    return targets.checkpoint(KIND) if kind.suffix == SUFFIXES[0] else kind


def shrink_file(
    checkpoint: str | Path,
    architecture: str,
    images: str | Path,
    outs: Sequence[str | Path],
    widths: Widths,
    *,
    method: Method = "merge",
    refit: bool | None = None,
    statistics: bool = True,
    preprocessing: Preprocessing | None = None,
    layers: Sequence[str] = ("*",),
    count: int = COUNT,
    seed: int = 0,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """Shrink a file of weights.

    Args:
        checkpoint: Safetensors, or a PyTorch state dict.
        architecture: See `neumeta.models.architectures`.
        images: Folder or zip of pictures, in any layout.
        outs: Files ending in .safetensors or .onnx.
        widths: See `neumeta.shrink`.
        method: Likewise.
        refit: Likewise.
        statistics: Likewise.
        preprocessing: What is done to pictures.
        layers: Patterns of the groups that shrink.
        count: Pictures at the most.
        seed: Of what is drawn.
        device: Where to compute.

    Returns:
        What was done: sizes by group, cost before and after, seconds.

    Raises:
        UserError: If a file or folder cannot be read, does not fit, or cannot be written.
    """
    if count < 1:
        raise UserError(f"--count is {count}; must be 1 or more, pictures")
    targets.check_targets([checkpoint], [(path, output_kind(path)) for path in outs])
    for path in outs:
        check_writable(path)
    network, example = build_for(architecture, read_weights(checkpoint), str(checkpoint))
    taken = (preprocessing or Preprocessing()).facts(example.shape[1:])
    channels, side, _ = taken["image_shape"]
    generator = torch.Generator().manual_seed(seed)
    pixels = read_pictures(images, side=side, channels=channels, count=count, generator=generator)
    started = time.perf_counter()
    found = shrink(
        network,
        normalise(pixels, PIXEL_MAX, taken["mean"], taken["std"]),
        widths,
        method=method,
        refit=refit,
        statistics=statistics,
        scope=Scope(layers=tuple(layers)),
        count=count,
        seed=seed,
        device=device,
    )
    seconds = time.perf_counter() - started
    small, one = found.network.cpu(), torch.zeros(1, *taken["image_shape"])
    origin = {
        "arch": architecture,
        "sha256": sha256_of(checkpoint),
        "method": method,
        "refitted": list(found.refitted),
        "statistics": statistics,
        "pictures": len(pixels),
        "seed": seed,
        "layers": list(layers),
        "sizes": found.sizes,
        **taken,
    }
    state, full = small.state_dict(), network.state_dict()
    changed = {n: list(full[n].shape) for n, value in state.items() if value.shape != full[n].shape}
    for path in outs:
        if Path(path).suffix == SUFFIXES[0]:
            data = to_bytes(state, {"kind": KIND, **origin, "full": changed})
        else:
            facts = {"kind": KIND, **origin, "pixel_range": [0, PIXEL_MAX]}
            data = onnx_of(small, torch.cat([one, one]), facts)
        atomic_write_bytes(path, data)
    return {
        **origin,
        "params": [count_params(network), count_params(small)],
        "macs": [count_macs(network, one), count_macs(small, one)],
        "groups": found.groups,
        "seconds": seconds,
    }


def read_shrunk(path: str | Path, build: str | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Read a network that `shrink_file` wrote.

    Args:
        path: Safetensors of kind `shrunk`.
        build: The builder that it may name, such as `package.module:function`.

    Returns:
        The network of that size, in evaluation mode, and the header.

    Raises:
        UserError: If the file is missing, damaged, or does not fit its own header.
    """
    weights, header = read_checkpoint(path, KIND)
    with trusting(path):
        if ":" in (arch := str(header["arch"])) and arch != build:
            check_trusted(arch)
        full = {name: _any(name, value, header["full"]) for name, value in weights.items()}
        network, _ = build_for(arch, full, str(path))
        example = torch.randn(2, *header["image_shape"], generator=torch.Generator().manual_seed(0))
        plan = make_plan(network, example, scope=Scope(layers=tuple(header["layers"])))
        if {group.name for group in plan.groups} != set(header["sizes"]):
            raise UserError(f"{path}: groups of channels are not those of its header")
        small = resized(network, plan.groups, first_units(header["sizes"], plan.groups))
    put_weights(small, weights, str(path))
    return small.eval(), header


def _any(name: str, value: Tensor, full: Mapping[str, Sequence[int]]) -> Tensor:
    """Weights of the full size, of which only the shapes matter."""
    if name not in full:
        return value
    fill: Callable[..., Tensor] = torch.ones if value.ndim < 2 else torch.randn
    if value.ndim < 2:
        return fill(*full[name], dtype=value.dtype)
    drawn = fill(*full[name], generator=torch.Generator().manual_seed(0))
    return drawn.to(value.dtype) * 0.05
