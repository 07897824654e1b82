"""Fourier features of normalised coordinates, with a frequency range of their own per kind."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# Columns of a normalised coordinate: (i/L, o/Cout, c/Cin, L/N, Cout/N, Cin/N).
_KINDS = ("identity", "index", "index", "identity", "size", "size")


@dataclass(frozen=True)
class FourierEncoding:
    """concat(v, sin(2^f pi v), cos(2^f pi v)), f = 0..F-1, with F by the kind of coordinate.

    Indices need about log2(C) octaves for C channels; noise of half an index erases what lies
    above. Sizes vary smoothly, so they carry low frequencies only.

    With a blur the features of an index are their means over a Gaussian of the variance of a
    uniform stretch of that many cells, a cell being the part of the axis that belongs to one
    channel: a coarse grid does not see what lies between its channels. Source: the integrated
    positional encoding of Barron et al. 2021, "Mip-NeRF", section 3.1, along one axis.

    Attributes:
        identity_octaves: F of tensor index and tensor count.
        index_octaves: F of the channel indices.
        size_octaves: F of the layer sizes.
        blur: Length of that stretch, in cells; 0 for the features of the point itself.
    """

    identity_octaves: int
    index_octaves: int
    size_octaves: int
    blur: float = 0.0

    @property
    def features(self) -> int:
        """Number of features per coordinate.

        Returns:
            2 (2F + 1) summed over the three kinds.
        """
        octaves = (self.identity_octaves, self.index_octaves, self.size_octaves)
        return sum(2 * (2 * count + 1) for count in octaves)

    def __call__(
        self,
        coordinates: Float[Tensor, "*rows 6"],
        cells: Float[Tensor, "*#rows 2"] | None = None,
    ) -> Float[Tensor, "*rows features"]:
        """Encode coordinates.

        Args:
            coordinates: Normalised, last axis of length 6; not changed.
            cells: Sizes of the cells of o/Cout and c/Cin; 0 for axes that stay sharp. Needed
                where there is a blur.

        Returns:
            The features: raw values first, then sines and cosines of each column.
        """
        octaves = {
            "identity": self.identity_octaves,
            "index": self.index_octaves,
            "size": self.size_octaves,
        }
        columns = [col for col, kind in enumerate(_KINDS) for _ in range(octaves[kind])]
        factors = coordinates.new_tensor(
            [2.0**f * math.pi for kind in _KINDS for f in range(octaves[kind])]
        )
        phases = coordinates[..., columns] * factors
        waves = [phases.sin(), phases.cos()]
        if self.blur:
            assert cells is not None, "a blurred encoding needs cells"
            sizes = F.pad(cells, (1, 3))[..., columns]  # identities and sizes stay sharp
            variances = (self.blur * factors * sizes) ** 2 / 12
            waves = [wave * (-variances / 2).exp() for wave in waves]
        return torch.cat([coordinates, *waves], dim=-1)
