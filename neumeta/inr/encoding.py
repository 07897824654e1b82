"""Fourier features of normalised coordinates, with a frequency range of their own per kind."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# Columns of a normalised coordinate: (i/L, o/Cout, c/Cin, L/N, Cout/N, Cin/N).
_KINDS = ("identity", "index", "index", "identity", "size", "size")


@dataclass(frozen=True)
class FourierEncoding:
    """concat(v, sin(2^f pi v), cos(2^f pi v)), f = 0..F-1, with F by the kind of coordinate.

    Indices need about log2(C) octaves for C channels; noise of half an index erases what lies
    above. Sizes vary smoothly, so they carry low frequencies only.

    Attributes:
        identity_octaves: F of tensor index and tensor count.
        index_octaves: F of the channel indices.
        size_octaves: F of the layer sizes.
    """

    identity_octaves: int
    index_octaves: int
    size_octaves: int

    @property
    def features(self) -> int:
        """Number of features per coordinate.

        Returns:
            2 (2F + 1) summed over the three kinds.
        """
        octaves = (self.identity_octaves, self.index_octaves, self.size_octaves)
        return sum(2 * (2 * count + 1) for count in octaves)

    def __call__(self, coordinates: Float[Tensor, "*rows 6"]) -> Float[Tensor, "*rows features"]:
        """Encode coordinates.

        Args:
            coordinates: Normalised, last axis of length 6; not changed.

        Returns:
            The features: raw values first, then sines and cosines of each column.
        """
        octaves = {
            "identity": self.identity_octaves,
            "index": self.index_octaves,
            "size": self.size_octaves,
        }
        columns = [col for col, kind in enumerate(_KINDS) for _ in range(octaves[kind])]
        factors = [2.0**f * math.pi for kind in _KINDS for f in range(octaves[kind])]
        phases = coordinates[..., columns] * coordinates.new_tensor(factors)
        return torch.cat([coordinates, phases.sin(), phases.cos()], dim=-1)
