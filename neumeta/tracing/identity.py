"""Which tensors of a network are one: the same storage, whatever the names and objects.

A weight can lie under two names, in two parameters on one storage, or be the other one turned.
Loading weights writes to the storage, so what lies there twice must move together or not at all.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor, nn

from neumeta.tracing.groups import Group, Member
from neumeta.tracing.nested import storage_of


@dataclass(frozen=True)
class Tensors:
    """Parameters and buffers of a network.

    Attributes:
        own: Tensors that are no other one's, by their first name.
        turned: Further tensors on the storage of one of these: its name, and which of its
            dimensions each of theirs is.
        names: Further names of a tensor, for each name of `own` and `turned`.
        fixed: Names of `own` that must stay, with the reason.
        kept: Names that a file of weights holds.
    """

    own: Mapping[str, Tensor]
    turned: Mapping[str, tuple[str, tuple[int, ...]]]
    names: Mapping[str, tuple[str, ...]]
    fixed: Mapping[str, str]
    kept: frozenset[str]

    @classmethod
    def of(cls, network: nn.Module) -> "Tensors":
        """Look a network through.

        Args:
            network: Any.

        Returns:
            Its tensors.
        """
        kept = frozenset(network.state_dict().keys())
        objects: dict[int, tuple[Tensor, list[str]]] = {}
        for name, value in (
            *network.named_parameters(remove_duplicate=False),
            *network.named_buffers(remove_duplicate=False),
        ):
            objects.setdefault(id(value), (value, []))[1].append(name)
        names: dict[str, tuple[str, ...]] = {}
        found: dict[str, Tensor] = {}
        for value, its_names in objects.values():
            first, *others = sorted(its_names, key=lambda name: name not in kept)
            names[first], found[first] = tuple(others), value.detach()
        own, turned, fixed = _by_storage(found, kept)
        return cls(own, turned, names, fixed, kept)

    def whole(self, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the turned tensors to others.

        Args:
            own: A tensor for each name of `own`.

        Returns:
            A tensor for each name of `own` and `turned`.
        """
        made = {name: own[first].permute(dims) for name, (first, dims) in self.turned.items()}
        return {**own, **made}

    def movable(self) -> dict[str, tuple[int, ...]]:
        """Tensors whose axes are asked for: those of numbers with a fraction that files hold.

        Returns:
            Shapes by name.
        """
        return {
            name: tuple(value.shape)
            for name, value in self.own.items()
            if (value.is_floating_point() or value.is_complex()) and name in self.kept
        }

    def under_all_names(self, group: Group) -> Group:
        """Let a group name its tensors by all names that files hold.

        Args:
            group: With first names.

        Returns:
            The group, with further members.
        """
        also = [
            replace(member, tensor=name)
            for member in group.members
            for name in self.names[member.tensor]
        ]
        for name, (first, dims) in self.turned.items():
            also += [
                Member(other, dims.index(member.axis), member.places)
                for member in group.members
                if member.tensor == first
                for other in (name, *self.names[name])
            ]
        also = [member for member in also if member.tensor in self.kept]
        return replace(group, members=(*group.members, *also))

    def at(self, storages: Iterable[int]) -> list[str]:
        """Find the tensors that lie in some storages.

        Args:
            storages: As `storage_of` gives them.

        Returns:
            Names of `own`.
        """
        wanted = set(storages)
        return [name for name, value in self.own.items() if storage_of(value) in wanted]


def _by_storage(
    found: Mapping[str, Tensor], kept: frozenset[str]
) -> tuple[dict[str, Tensor], dict[str, tuple[str, tuple[int, ...]]], dict[str, str]]:
    own, fixed = dict(found), dict[str, str]()
    for name, value in found.items():
        if _meets_itself(value):
            fixed[name] = "has places that share their memory"
    turned: dict[str, tuple[str, tuple[int, ...]]] = {}
    together: dict[int, list[str]] = defaultdict(list)
    for name, value in found.items():
        if (storage := storage_of(value)) is not None and value.numel():
            together[storage].append(name)
    for names in together.values():
        first = sorted(names, key=lambda name: name not in kept)
        for number, name in enumerate(first):
            for other in first[:number]:
                if name in turned or other in turned or not _overlap(found[name], found[other]):
                    continue
                if (dims := _turn(found[other], found[name])) is not None:
                    turned[name] = other, dims
                    del own[name]
                else:
                    fixed[name] = f"shares its memory with {other!r} in another form"
                    fixed[other] = f"shares its memory with {name!r} in another form"
    return own, turned, fixed


def _meets_itself(value: Tensor) -> bool:
    """Whether two places of a tensor may be one in memory."""
    reach = 0  # of all places along the dimensions with smaller strides
    layout = zip(value.stride(), value.shape, strict=True)
    for stride, size in sorted((stride, size) for stride, size in layout if size > 1):
        if stride <= reach:
            return True
        reach += stride * (size - 1)
    return False


def _turn(first: Tensor, second: Tensor) -> tuple[int, ...] | None:
    """Dimensions of the first that make the second; None if it is not the first one turned."""
    if first.dtype != second.dtype or first.storage_offset() != second.storage_offset():
        return None
    if first.shape == second.shape and first.stride() == second.stride():
        return tuple(range(first.ndim))
    layout = list(zip(first.shape, first.stride(), strict=True))
    dims: list[int] = []
    for wanted in zip(second.shape, second.stride(), strict=True):
        free = [dim for dim, own in enumerate(layout) if own == wanted and dim not in dims]
        if not free:
            return None
        dims.append(free[0])
    return tuple(dims) if len(dims) == first.ndim else None


def _overlap(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one storage have a place in common."""
    ranges = [_bytes(tensor) for tensor in (first, second)]
    if ranges[0][1] <= ranges[1][0] or ranges[1][1] <= ranges[0][0]:
        return False
    if first.element_size() != second.element_size():
        return True
    start = min(first.storage_offset(), second.storage_offset())
    places = [
        _places(tensor.shape, tensor.stride(), int(tensor.storage_offset() - start))
        for tensor in (first, second)
    ]
    return bool(torch.isin(*places).any())


def _bytes(tensor: Tensor) -> tuple[int, int]:
    start = int(tensor.storage_offset()) * tensor.element_size()
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (last + 1) * tensor.element_size()


def _places(shape: torch.Size, stride: tuple[int, ...], offset: int) -> Tensor:
    places = torch.full((prod(shape),), offset).reshape(shape)
    for dim, (size, step) in enumerate(zip(shape, stride, strict=True)):
        places = places + (step * torch.arange(size)).reshape(
            [-1 if d == dim else 1 for d in range(len(shape))]
        )
    return places.flatten()
