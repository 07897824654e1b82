"""Coordinates of weights: where a weight sits in its layer, in its network, at a given width.

One row stands for one (out, in) channel pair; the kernel of that pair comes out at once. The raw
coordinate is (i, o, c, L, Cout, Cin): tensor index, out index, in index, number of tensors, out
size, in size. Normalised it is (i/L, o/Cout, c/Cin, L/N, Cout/N, Cin/N). Source: paper, section
3.2. Noise moves o, c and the sizes only, and only along axes that follow the width: the tensor's
identity stays exact, and so do fixed axes such as image channels and classes.

The paper moves every weight on its own (jitter `weight`). With jitter `channel` one draw moves
each channel of a clique group as a whole: every tensor that holds the channel sees it at the same
place, so that a network of jittered channels is a network of other channels, not of blurred ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neumeta.core.device import drawn
from neumeta.inr.jitter import ChannelJitter
from neumeta.models.tensor_specs import TensorSpec

SMALL_BUCKET_ROWS = 128
LARGEST_PADDING = 0.3


@dataclass(frozen=True)
class Bucket:
    """Tensors of like size, padded to one length, so that one batched product serves them all.

    Attributes:
        specs: The tensors.
        channels: Raw (o, c) per row, shape (tensors, rows, 2); padding rows are 0.
        sizes: Raw (Cout, Cin) per tensor, shape (tensors, 2).
        identity: (i/L, L/N) per tensor, shape (tensors, 2); exact in every draw.
        morphing: 1 where the axis follows the width, else 0, shape (tensors, 2).
        places: Where a row's channels stand in one draw of a `ChannelJitter`, shape
            (tensors, rows, 2).
    """

    specs: tuple[TensorSpec, ...]
    channels: Float[Tensor, "tensors rows 2"]
    sizes: Float[Tensor, "tensors 2"]
    identity: Float[Tensor, "tensors 2"]
    morphing: Float[Tensor, "tensors 2"]
    places: Int[Tensor, "tensors rows 2"]

    @cached_property
    def owners(self) -> Int[Tensor, " tensors"]:
        """Tensor indices.

        Returns:
            Index i of each tensor, shape (tensors,).
        """
        return torch.tensor([spec.index for spec in self.specs], device=self.channels.device)

    @cached_property
    def cells(self) -> Float[Tensor, "tensors 2"]:
        """Distances between neighbouring channels, in normalised coordinates.

        Returns:
            1 / Cout and 1 / Cin, shape (tensors, 2); 0 for axes that do not follow the width.
        """
        return self.morphing / self.sizes

    def to(self, device: torch.device) -> "Bucket":
        """Move the coordinates.

        Args:
            device: Where to.

        Returns:
            The same bucket there.
        """
        return replace(
            self,
            channels=self.channels.to(device),
            sizes=self.sizes.to(device),
            identity=self.identity.to(device),
            morphing=self.morphing.to(device),
            places=self.places.to(device),
        )


def make_buckets(
    specs: Sequence[TensorSpec], norm: float, jitter: ChannelJitter | None = None
) -> tuple[Bucket, ...]:
    """Build all coordinates of one width, without a loop over rows.

    Args:
        specs: The generated tensors.
        norm: N, the size that maps to 1; the base width.
        jitter: Numbers the channels of those tensors; None where none are moved as a whole.

    Returns:
        Buckets that cover every tensor once; at most `LARGEST_PADDING` of a large bucket is
        padding.
    """
    jitter = jitter or ChannelJitter(specs)
    groups: list[list[TensorSpec]] = []
    for spec in sorted(specs, key=lambda s: (-s.rows, s.index)):
        if groups and _fits(groups[-1], spec):
            groups[-1].append(spec)
        else:
            groups.append([spec])
    count = len(specs)
    return tuple(_bucket(tuple(group), count, norm, jitter) for group in groups)


def normalised(
    bucket: Bucket,
    norm: float,
    *,
    noise: float,
    draws: int,
    generator: torch.Generator | None,
    first_exact: bool,
    moved: Float[Tensor, "draws channels"] | None = None,
    offset: float = 0.0,
    sized: bool = True,
) -> Float[Tensor, "tensors draws rows 6"]:
    """Coordinates of several draws, with fresh noise in each.

    Args:
        bucket: Which tensors; not changed.
        norm: N, the size that maps to 1.
        noise: Half range a of U(-a, a), channels; 0 for exact coordinates.
        draws: Number of draws.
        generator: Source of the noise, of the CPU; needed when noise is above 0.
        first_exact: Whether draw 0 is free of noise.
        moved: Noise of whole channels, see `ChannelJitter.draw`; None moves weights and sizes
            each on their own.
        offset: Where a channel lies between its index and the next, 0 to 1.
        sized: Whether sizes are told; else their columns are 0.

    Returns:
        (i/L, o/Cout, c/Cin, L/N, Cout/N, Cin/N) per row. Divisors are the exact sizes.
    """
    tensors, rows, _ = bucket.channels.shape
    channels = bucket.channels[:, None].expand(tensors, draws, rows, 2)
    sizes = bucket.sizes[:, None].expand(tensors, draws, 2)
    if moved is not None:
        channels = channels + moved[:, bucket.places].transpose(0, 1)
    elif noise > 0:
        reach = noise * bucket.morphing[:, None]
        sampled = partial(drawn, torch.rand, generator=generator, device=channels.device)
        shifts = sampled((tensors, draws, rows, 2)).mul_(2).sub_(1)
        resized = sampled((tensors, draws, 2)).mul_(2).sub_(1)
        if first_exact:
            shifts[:, 0], resized[:, 0] = 0, 0
        channels = channels + shifts * reach[:, :, None]
        sizes = sizes + resized * reach
    if offset:
        channels = channels + offset * bucket.morphing[:, None, None]
    index = channels / bucket.sizes[:, None, None]
    shape = (tensors, draws, rows, 1)
    identity = bucket.identity[:, None, None]
    size = (sizes / norm * float(sized))[:, :, None].expand(tensors, draws, rows, 2)
    return torch.cat(
        [identity[..., :1].expand(shape), index, identity[..., 1:].expand(shape), size], dim=-1
    )


def _fits(group: Sequence[TensorSpec], spec: TensorSpec) -> bool:
    longest = group[0].rows
    if longest <= SMALL_BUCKET_ROWS:
        return True
    used = sum(member.rows for member in group) + spec.rows
    return 1 - used / (longest * (len(group) + 1)) <= LARGEST_PADDING


def _bucket(
    specs: tuple[TensorSpec, ...], count: int, norm: float, jitter: ChannelJitter
) -> Bucket:
    channels = torch.zeros(len(specs), max(spec.rows for spec in specs), 2)
    places = torch.full(channels.shape, jitter.total)
    for slot, spec in enumerate(specs):
        sides = (spec.out_size, spec.in_size)
        axes = [
            torch.arange(size).float() if ranks is None else torch.tensor(ranks).float()
            for size, ranks in zip(sides, spec.ranks, strict=True)
        ]
        channels[slot, : spec.rows] = torch.cartesian_prod(*axes)
        places[slot, : spec.rows] = jitter.places(spec)
    return Bucket(
        specs=specs,
        channels=channels,
        sizes=torch.tensor([[spec.out_size, spec.in_size] for spec in specs]).float(),
        identity=torch.tensor([[spec.index / count, count / norm] for spec in specs]),
        morphing=torch.tensor(
            [[float(axis in spec.morphing) for axis in (0, 1)] for spec in specs]
        ),
        places=places,
    )
