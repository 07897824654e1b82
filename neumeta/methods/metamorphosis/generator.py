"""From an INR to the weights of any network of its family (Algorithm 3)."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neumeta.inr.coordinates import SMALL_BUCKET_ROWS, Bucket, make_buckets, normalised
from neumeta.inr.encoding import FourierEncoding
from neumeta.inr.jitter import ChannelJitter
from neumeta.inr.network import CoordinateNetwork, taken_alone
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.tensor_specs import TensorSpec

ROWS_PER_CHUNK = 1 << 12  # of a larger product the activations leave the caches of a CPU
ROWS_PER_BLOCK = 1 << 11  # of one tensor, where tensors are taken alone; likewise


class WeightGenerator(nn.Module):
    """An INR together with the family whose weights it makes.

    A raw output is multiplied by a fixed scale per tensor (the root mean square of the base
    weights times their Cin) and divided by the exact Cin of the network; biases have Cin 1.
    """

    scale: Tensor

    def __init__(
        self, family: Family, settings: Mapping[str, Any], generator: torch.Generator
    ) -> None:
        """Make an INR with fresh weights.

        Args:
            family: What it generates.
            settings: Keys `coordinates`, `encoding` and `network` as the sections of params.yaml.
            generator: Source of randomness.
        """
        super().__init__()
        self.family = family
        keys = ("coordinates", "encoding", "network")
        self.settings = {key: dict(settings[key]) for key in keys}
        self.encoding = FourierEncoding(**self.settings["encoding"])
        shape = dict(self.settings["network"])
        self.single = shape.pop("arrangement") == "single"
        base = family.specs(family.base)
        self.kernel = max(side for spec in base for side in spec.kernel)
        self.network = CoordinateNetwork(
            networks=1 if self.single else len(base),
            features=self.encoding.features,
            outputs=self.kernel**2,
            generator=generator,
            **shape,
        )
        self.register_buffer("scale", torch.ones(len(base)))
        self._grids: dict[tuple[Point, torch.device], tuple[tuple[Bucket, ...], ChannelJitter]] = {}

    @property
    def device(self) -> torch.device:
        """Where it lies, and so what it makes.

        Returns:
            The device.
        """
        return self.scale.device

    def calibrate(self, base_weights: Mapping[str, Tensor]) -> None:
        """Set the output scales from the base network.

        Args:
            base_weights: Parameters by name at the base point.
        """
        for spec in self.family.specs(self.family.base):
            rms = base_weights[spec.name].square().mean().sqrt().item()
            self.scale[spec.index] = rms * spec.in_size if rms > 0 else 1.0

    def weights(
        self,
        at: Point,
        *,
        noise: float = 0.0,
        draws: int = 1,
        generator: torch.Generator | None = None,
        first_exact: bool = True,
        coarseness: float = 1.0,
    ) -> dict[str, Tensor]:
        """Generate all tensors of one network, averaged over K draws.

        Args:
            at: Which network.
            noise: Half range a of the coordinate noise, channels.
            draws: K.
            generator: Source of the noise, of the CPU; needed when noise is above 0.
            first_exact: Whether draw 0 is free of noise (sampling: yes, training: no).
            coarseness: Size of the cells that a blurred encoding is told, in cells of this network.

        Returns:
            Tensors by parameter name, differentiable with respect to the INR.
        """
        found: dict[str, Tensor] = {}
        buckets, jitter = self.grid(at)
        moved: Tensor | None = None
        if self.settings["coordinates"]["jitter"] == "channel" and noise > 0:
            moved = jitter.draw(draws, noise, generator, first_exact, self.device)
        for bucket in buckets:
            coordinates = normalised(
                bucket,
                self._norm,
                noise=noise,
                draws=draws,
                generator=generator,
                first_exact=first_exact,
                moved=moved,
                offset=0.5 if self.settings["coordinates"]["origin"] == "centre" else 0.0,
                sized=self.settings["coordinates"]["size"] == "raw",
            )
            per_chunk = max(1, ROWS_PER_CHUNK // (bucket.channels.shape[1] * len(bucket.specs)))
            total: Tensor | None = None
            for part in coordinates.split(per_chunk, dim=1):
                kernels = self._kernels(part, bucket, coarseness).sum(dim=1)
                total = kernels if total is None else total + kernels
            assert total is not None
            for slot, spec in enumerate(bucket.specs):
                found[spec.name] = self._assemble(total[slot, : spec.rows] / draws, spec)
        return {name: found[name] for name in self.family.generated}

    def grid(self, at: Point) -> tuple[tuple[Bucket, ...], ChannelJitter]:
        """Coordinates of a network, made once.

        Args:
            at: Which network.

        Returns:
            The buckets, and the numbering of their channels.
        """
        key = (at, self.device)
        if key not in self._grids:
            specs = self.family.specs(at)
            whole = self.settings["coordinates"]["jitter"] == "channel"
            jitter = ChannelJitter(specs, self.family.groups if whole else ())
            buckets = make_buckets(specs, self._norm, jitter)
            self._grids[key] = tuple(bucket.to(self.device) for bucket in buckets), jitter
        return self._grids[key]

    @property
    def _norm(self) -> float:
        return float(self.family.base["width"])

    def _kernels(
        self,
        coordinates: Float[Tensor, "tensors draws rows 6"],
        bucket: Bucket,
        coarseness: float = 1.0,
    ) -> Float[Tensor, "tensors draws rows outputs"]:
        owners = torch.zeros_like(bucket.owners) if self.single else bucket.owners
        cells = coarseness * bucket.cells
        few = coordinates.shape[1] * coordinates.shape[2] <= SMALL_BUCKET_ROWS
        if few or not taken_alone(coordinates.device):
            features = self.encoding(coordinates, cells[:, None, None]).flatten(1, 2)
            return self.network(features, owners).float().unflatten(1, coordinates.shape[1:3])
        kernels = coordinates.new_zeros(*coordinates.shape[:3], self.kernel**2)
        for slot, spec in enumerate(bucket.specs):
            own = coordinates[slot, :, : spec.rows].flatten(0, 1)
            blocks = [
                self.network(self.encoding(block, cells[slot])[None], owners[slot : slot + 1])[0]
                for block in own.tensor_split(math.ceil(len(own) / ROWS_PER_BLOCK))
            ]
            kernels[slot, :, : spec.rows] = torch.cat(blocks).unflatten(0, (-1, spec.rows))
        return kernels

    def _assemble(self, kernels: Float[Tensor, "rows outputs"], spec: TensorSpec) -> Tensor:
        """Cut the centre of each kernel, in two dimensions, and shape the tensor."""
        side, (height, width) = self.kernel, spec.kernel
        top, left = (side - height) // 2, (side - width) // 2
        grid = kernels.view(spec.out_size, spec.in_size, side, side)
        inner = grid[:, :, top : top + height, left : left + width]
        return inner.reshape(spec.shape) * (self.scale[spec.index] / spec.in_size)


def count_inr_params(generator: WeightGenerator) -> int:
    """Size of the INR itself.

    Args:
        generator: The INR.

    Returns:
        Number of scalars that are trained.
    """
    return sum(math.prod(value.shape) for value in generator.parameters())
