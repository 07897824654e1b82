"""Noise of whole channels: one number per clique group, channel and draw."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neumeta.core.device import CPU, drawn
from neumeta.models.tensor_specs import Owners, TensorSpec
from neumeta.tracing.groups import Group


class ChannelJitter:
    """The channels of all clique groups at one point, numbered through."""

    def __init__(self, specs: Sequence[TensorSpec], groups: Sequence[Group] = ()) -> None:
        """Number the channels of all groups.

        Args:
            specs: The generated tensors.
            groups: Of channels; their number is that of the specs.

        Raises:
            ValueError: If axes of one group differ in length.
        """
        self._owner = {axis: number for number, group in enumerate(groups) for axis in group.axes}
        self._number = {group.name: number for number, group in enumerate(groups)}
        sizes: dict[int, int] = {}
        for spec in specs:
            for axis, (size, owners) in enumerate(_sides(spec)):
                group = self._owner.get((spec.name, axis))
                if group is None:
                    continue
                found = {group: size} if owners is None else self._units(owners)
                for number, units in found.items():
                    if sizes.setdefault(number, units) != units:
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
        for axis, (size, owners) in enumerate(_sides(spec)):
            group = self._owner.get((spec.name, axis))
            if group is None:
                columns.append(torch.full((size,), self.total))
            elif owners is not None:
                starts = {name: self.start.get(n) for name, n in self._number.items()}
                columns.append(torch.tensor([self._place(starts, *owner) for owner in owners]))
            else:
                columns.append(torch.arange(size) + self.start[group])
        return torch.cartesian_prod(*columns)

    def _units(self, owners: Owners) -> dict[int, int]:
        """How many units each group has on an axis."""
        last: dict[int, int] = {}
        for name, unit in owners:
            if name in self._number:
                number = self._number[name]
                last[number] = max(last.get(number, 0), unit + 1)
        return last

    def _place(self, starts: Mapping[str, int | None], name: str, unit: int) -> int:
        start = starts.get(name)
        return self.total if start is None else start + unit

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


def _sides(spec: TensorSpec) -> tuple[tuple[int, Owners | None], ...]:
    return tuple(zip((spec.out_size, spec.in_size), spec.owners, strict=True))
