"""What takes which place: orders of clique groups as one index for every axis they touch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from neumeta.core.boundary import called_by_users
from neumeta.core.checkpoint import read_checkpoint, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.tracing.groups import Group

KIND = "arrangement"
Axis = tuple[str, int]
Orders = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Arrangement:
    """A permutation of a whole network, axis by axis.

    Attributes:
        indices: For a tensor name and an axis, which old place comes to every new place, shape
            (size of the axis,). Axes that stay are left out.
    """

    indices: Mapping[Axis, Int[Tensor, " size"]]

    def __eq__(self, other: object) -> bool:
        """Whether two arrangements move the same places alike.

        Args:
            other: Anything.

        Returns:
            True for equal indices of the same axes.
        """
        if not isinstance(other, Arrangement):
            return NotImplemented
        return self.indices.keys() == other.indices.keys() and all(
            torch.equal(index.cpu(), other.indices[axis].cpu())
            for axis, index in self.indices.items()
        )

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def of_orders(
        cls, groups: Sequence[Group], orders: Orders, tensors: Mapping[str, Tensor]
    ) -> "Arrangement":
        """Lay orders of groups out along the axes of their members.

        Args:
            groups: In the order in which their orders apply; groups of one axis may be disjoint,
                as nested residual streams, or a later one may move blocks of an earlier one.
            orders: By name of the group; unit `order[k]` comes to the places of unit k. A group
                without an order stays.
            tensors: For the sizes of the axes.

        Returns:
            The arrangement.

        Raises:
            UserError: If an order is none of its group, or a group is none of the tensors.
        """
        indices: dict[Axis, Tensor] = {}
        for group in groups:
            if group.name not in orders:
                continue
            order = torch.as_tensor(orders[group.name])
            if sorted(order.tolist()) != list(range(len(group))):
                raise UserError(
                    f"order of {group.name!r} must hold each of 0..{len(group) - 1} once"
                )
            for member in group.members:
                shape = tensors[member.tensor].shape if member.tensor in tensors else ()
                if member.axis >= len(shape):
                    raise UserError(
                        f"group {group.name!r} needs axis {member.axis} of {member.tensor!r}"
                    )
                places = torch.tensor(member.places)
                axis = member.tensor, member.axis
                index = indices.setdefault(axis, torch.arange(shape[member.axis]))
                moved = index.clone()
                moved[places.flatten()] = index[places[order].flatten()]
                indices[axis] = moved
        return cls(indices)

    def apply(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Permute parameters and buffers; the function of the network stays the same.

        Args:
            tensors: By name; not changed. Names that no axis asks for are handed on.

        Returns:
            New tensors, those that stay being shared with the input.

        Raises:
            UserError: If a tensor is missing or an axis has another size.
        """
        permuted = dict(tensors)
        for (name, axis), index in self.indices.items():
            if name not in permuted:
                raise UserError(f"the arrangement moves {name!r}, which is not among the tensors")
            shape = permuted[name].shape
            if axis >= len(shape) or shape[axis] != len(index):
                raise UserError(
                    f"the arrangement needs {len(index)} places on axis {axis} of {name!r}, "
                    f"whose shape is {tuple(shape)}"
                )
            permuted[name] = permuted[name].index_select(axis, index.to(permuted[name].device))
        return permuted

    def inverse(self) -> "Arrangement":
        """The arrangement that undoes this one.

        Returns:
            A new arrangement.
        """
        return Arrangement({axis: torch.argsort(index) for axis, index in self.indices.items()})

    @called_by_users
    def save(self, path: str | Path) -> None:
        """Write it as safetensors, atomically.

        Args:
            path: Target file; one that is there must be an arrangement, too.
        """
        axes = sorted(self.indices)
        tensors = {str(number): self.indices[axis] for number, axis in enumerate(axes)}
        header = {"kind": KIND, "axes": [list(axis) for axis in axes]}
        write_checkpoint(path, tensors, header)

    @classmethod
    @called_by_users
    def load(cls, path: str | Path) -> "Arrangement":
        """Read what `save` wrote.

        Args:
            path: The file.

        Returns:
            The arrangement.

        Raises:
            UserError: If the file is missing, damaged or holds no permutation.
        """
        tensors, header = read_checkpoint(path, KIND)
        try:
            axes = [(str(name), int(axis)) for name, axis in header["axes"]]
            indices = {axis: tensors.pop(str(number)) for number, axis in enumerate(axes)}
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: its header does not fit its tensors") from error
        for (name, number), index in indices.items():
            if index.ndim != 1 or not torch.equal(index.sort().values, torch.arange(len(index))):
                raise UserError(f"{path}: axis {number} of {name!r} holds no permutation")
        return cls(indices)
