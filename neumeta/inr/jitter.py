"""Noise of whole channels: one number per clique group, channel and draw."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neumeta.core.device import CPU, drawn
from neumeta.models.tensor_specs import TensorSpec
from neumeta.tracing.groups import Group


class ChannelJitter:
    """The channels of all clique groups at one point, numbered through."""

    def __init__(self, specs: Sequence[TensorSpec], groups: Sequence[Group] = ()) -> None:
        """Number the channels of all groups.

        Args:
            specs: The generated tensors.
            groups: Of channels, each of one place along every axis; their number is that of the
                specs.

        Raises:
            ValueError: If axes of one group differ in length.
        """
        self._owner = {axis: number for number, group in enumerate(groups) for axis in group.axes}
        sizes: dict[int, int] = {}
        for spec in specs:
            for axis, size in enumerate((spec.out_size, spec.in_size)):
                group = self._owner.get((spec.name, axis))
                if group is not None and sizes.setdefault(group, size) != size:
                    raise ValueError(f"{spec.name}: axis {axis} does not fit its clique group")
        self.start: dict[int, int] = {}
        self.total = 0
        for group in sorted(sizes):
            self.start[group] = self.total
            self.total += sizes[group]

    def places(self, spec: TensorSpec) -> Int[Tensor, "rows 2"]:
        """Where the channels of a tensor's rows stand in one draw.

        Args:
            spec: A generated tensor.

        Returns:
            Indices of (out, in) channel per row; `total`, which holds 0, for fixed axes.
        """
        columns = []
        for axis, size in enumerate((spec.out_size, spec.in_size)):
            group = self._owner.get((spec.name, axis))
            if group is None:
                columns.append(torch.full((size,), self.total))
            else:
                columns.append(torch.arange(size) + self.start[group])
        return torch.cartesian_prod(*columns)

    def draw(
        self,
        draws: int,
        noise: float,
        generator: torch.Generator | None,
        first_exact: bool,
        device: torch.device = CPU,
    ) -> Float[Tensor, "draws channels"]:
        """Draw the noise of all channels.

        Args:
            draws: Number of draws.
            noise: Half range a of U(-a, a), channels.
            generator: Source of the noise.
            first_exact: Whether draw 0 is free of noise.
            device: Where the noise is needed.

        Returns:
            Shape (draws, total + 1); the last column, for fixed axes, is 0.
        """
        shape = (draws, self.total + 1)
        moved = drawn(torch.rand, shape, generator=generator, device=device).mul_(2).sub_(1)
        moved[:, -1] = 0
        if first_exact:
            moved[0] = 0
        return moved * noise
