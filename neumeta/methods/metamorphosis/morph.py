"""A trained INR as users hold it: one file in, an ordinary network of any width out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.core.fields import DEFAULT_DRAWS
from neumeta.methods.metamorphosis.generator import WeightGenerator, count_inr_params
from neumeta.methods.metamorphosis.inr_file import read_inr
from neumeta.models.cost import count_macs, count_params
from neumeta.models.family import Family


@dataclass(frozen=True)
class MorphableNetwork:
    """A network family in one file.

    Example:
        >>> morph = neumeta.load("inr.safetensors")  # doctest: +SKIP
        >>> network = morph.sample(width=20)  # doctest: +SKIP
        >>> logits = network(morph.preprocess(images))  # doctest: +SKIP

    Attributes:
        family: What can be built.
        inr: The trained (averaged) INR.
        frozen: Tensors of the base network that are not generated, by name.
        header: The checkpoint's JSON header.
    """

    family: Family
    inr: WeightGenerator
    frozen: Mapping[str, Tensor]
    header: Mapping[str, Any]

    def sample(
        self,
        width: int,
        *,
        draws: int = DEFAULT_DRAWS,
        noise: float | None = None,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """Make an ordinary network of one width.

        Args:
            width: Base width h, channels.
            draws: K, number of draws averaged; 1 gives the noise-free network.
            noise: Half range of the coordinate noise, channels; None takes that of the file.
            generator: Source of the noise; None takes a fresh one of seed 0.

        Returns:
            The network with its weights, in evaluation mode. It takes normalised images; see
            `preprocess`.

        Raises:
            UserError: If the width is outside the family, or draws or noise are out of range.
        """
        weights = self.weights(width, draws=draws, noise=noise, generator=generator)
        network = self.family.skeleton(width)
        network.load_state_dict(weights, strict=True, assign=True)
        return network.requires_grad_()

    def weights(
        self,
        width: int,
        *,
        draws: int = DEFAULT_DRAWS,
        noise: float | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """All parameters of one width; see `sample`.

        Args:
            width: Base width h, channels.
            draws: K, number of draws averaged.
            noise: Half range of the coordinate noise, channels; None takes that of the file.
            generator: Source of the noise; None takes a fresh one of seed 0.

        Returns:
            Tensors by name, without gradients.

        Raises:
            UserError: If the width is outside the family, or draws or noise are out of range.
        """
        self.family.check_width(width)
        amount = float(self.header["noise"]) if noise is None else noise
        if draws < 1:
            raise UserError(f"draws is {draws}; must be 1 or more")
        if not 0 <= amount < math.inf:
            raise UserError(f"noise is {amount}; must be 0 or more")
        source = generator or torch.Generator().manual_seed(0)
        with torch.no_grad():
            made = self.inr.weights(
                width,
                noise=amount if draws > 1 else 0.0,
                draws=draws if amount > 0 else 1,
                generator=source,
            )
        return {**self.frozen, **made}

    def preprocess(self, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalise raw images as in training.

        Args:
            images: Pixels of 0 to the data set's largest value, shape (n, channels, height,
                width); any numeric type.

        Returns:
            Float32 of the same shape.
        """
        spec = self.header["input"]
        mean = torch.tensor(spec["mean"]).view(1, -1, 1, 1)
        std = torch.tensor(spec["std"]).view(1, -1, 1, 1)
        return (images.float() / spec["pixel_max"] - mean) / std

    def info(self) -> dict[str, Any]:
        """Describe the file.

        Returns:
            JSON-ready: family, widths, data, sizes in parameters and multiply-accumulates.
        """
        settings, trained = self.family.settings, self.header["train_widths"]
        base = self.family.skeleton(self.family.base_width)
        return {
            "family": self.family.name,
            "dataset": self.header["input"]["dataset"],
            "classes": len(self.header["input"]["classes"]),
            "input_shape": list(self.header["input"]["image_shape"]),
            "base_width": self.family.base_width,
            "trained_widths": f"{min(trained)}..{max(trained)}",
            "possible_widths": f"{settings['min_width']}..{settings['max_width']}",
            "generated_tensors": len(self.family.generated),
            "inr_params": count_inr_params(self.inr),
            "base_params": count_params(base),
            "base_macs": count_macs(base, self.family.example_input().to("meta")),
            "noise": self.header["noise"],
            "seed": self.header["seed"],
            "data_sha256": self.header["data_sha256"],
        }


def load(path: str | Path) -> MorphableNetwork:
    """Open a trained INR.

    Args:
        path: A checkpoint of kind `inr`, as the train stage writes it.

    Returns:
        The morphable network.

    Raises:
        UserError: If the file is missing, damaged, or does not fit its own header.
    """
    return MorphableNetwork(*read_inr(path))
