"""How far apart the units of a clique group are: what a smoothing order is judged by."""

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neumeta.tracing.groups import Group, Member

Objective = Literal["all", "first"]


def unit_rows(tensor: Float[Tensor, "..."], member: Member) -> Float[Tensor, "units values"]:
    """The values that belong to each unit along a member's axis, one row a unit.

    Args:
        tensor: The member's tensor.
        member: Which axis, and the places of every unit.

    Returns:
        Double precision, shape (units, values of each).
    """
    places = torch.tensor(member.places)
    values = tensor.detach().cpu()
    if values.is_complex():
        values = torch.view_as_real(values)
    moved = values.double().movedim(member.axis, 0)[places.flatten()]
    return moved.reshape(len(places), -1)


def group_distances(
    tensors: Mapping[str, Tensor],
    group: Group,
    *,
    objective: Objective = "all",
    normalise: bool = False,
    silent: Collection[str] = (),
) -> Float[Tensor, "units units"]:
    """L1 distance between units, summed over the members of a group.

    Where every unit is one place and the group is all of its axes, the length of a path through
    these distances is the sum of the members' total variations along their shared axes: the
    objective of Algorithm 1, line 5. Units of several places, as after a flattening, count whole.

    Args:
        tensors: Parameters and buffers by name.
        group: Which places of which axes share the order.
        objective: `all` members, or the `first` alone, which layer-wise methods look at.
        normalise: Whether each member counts by its mean absolute value instead of by its own
            scale.
        silent: Names of tensors that follow the order and have no say in it, such as running
            statistics.

    Returns:
        Symmetric double-precision matrix with a zero diagonal.
    """
    members = [member for member in group.members if member.tensor not in silent]
    if objective == "first":
        members = members[:1]
    total = torch.zeros(len(group), len(group), dtype=torch.double)
    for member in members:
        rows = unit_rows(tensors[member.tensor], member)
        # numpy adds in one order, whatever the number of threads.
        scale = float(np.abs(rows.numpy()).mean()) if normalise else 1.0
        if scale > 0:
            total += torch.cdist(rows, rows, p=1) / scale
    return total


def path_length(distances: Float[Tensor, "n n"], order: Tensor) -> float:
    """Length of the open path that visits units in the given order.

    Args:
        distances: Symmetric matrix of distances between units.
        order: A permutation of the units, shape (n,).

    Returns:
        Sum of the distances of consecutive units.
    """
    return distances[order[:-1], order[1:]].sum().item()
