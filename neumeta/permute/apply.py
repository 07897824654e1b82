"""Orders of clique groups: find them, apply them, undo them, and check the function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from neumeta.errors import UserError
from neumeta.models.groups import CliqueGroup
from neumeta.permute.path import shortest_path
from neumeta.permute.variation import channel_distances, path_length

Orders = dict[str, Tensor]


@dataclass(frozen=True)
class GroupResult:
    """What the search did for one clique group.

    Attributes:
        name: Name of the group.
        channels: Number of channels.
        tv_before: Total variation along the shared axis over all members, original order.
        tv_after: Likewise, found order.
    """

    name: str
    channels: int
    tv_before: float
    tv_after: float


def find_orders(
    weights: Mapping[str, Tensor],
    groups: Sequence[CliqueGroup],
    *,
    perturbations: int,
    generator: np.random.Generator,
) -> tuple[Orders, list[GroupResult]]:
    """Solve each clique group for its smoothing order (Algorithm 1).

    A group's distances do not depend on the orders of the others, because L1 distance ignores
    the order along every other axis; so one pass is exact in structure.

    Args:
        weights: Parameters by name.
        groups: The clique groups.
        perturbations: See `shortest_path`.
        generator: Source of randomness.

    Returns:
        One order per group, shape (channels,), and what each gained.
    """
    orders: Orders = {}
    results = []
    for group in groups:
        distances = channel_distances(weights, group)
        found = shortest_path(distances.numpy(), perturbations=perturbations, generator=generator)
        order = torch.from_numpy(np.ascontiguousarray(found)).long()
        orders[group.name] = order
        before = path_length(distances, torch.arange(len(order)))
        results.append(GroupResult(group.name, len(order), before, path_length(distances, order)))
    return orders, results


def apply_orders(
    weights: Mapping[str, Tensor], groups: Sequence[CliqueGroup], orders: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Permute all members of all groups; the function of the network stays the same.

    Args:
        weights: Parameters by name; not changed.
        groups: The clique groups.
        orders: One order per group name.

    Returns:
        New parameters; tensors in no group are shared with the input.
    """
    permuted = dict(weights)
    for group in groups:
        for name, axis in group.members:
            permuted[name] = permuted[name].index_select(axis, orders[group.name])
    return permuted


def invert_orders(orders: Mapping[str, Tensor]) -> Orders:
    """Orders that undo the given ones.

    Args:
        orders: One order per group name.

    Returns:
        One inverse per group name.
    """
    return {name: torch.argsort(order) for name, order in orders.items()}


def function_error(
    network: nn.Module,
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    inputs: Float[Tensor, "n ..."],
) -> float:
    """Largest change of any output, computed in double precision.

    Double precision leaves only true differences: a wrong order shows up at the size of the
    outputs, mere rounding at 1e-12.

    Args:
        network: The architecture, for example on the meta device.
        before: Parameters by name.
        after: Parameters by name.
        inputs: Real inputs, batch first.

    Returns:
        Maximum absolute difference over all outputs.
    """
    with torch.no_grad():
        first, second = (
            functional_call(
                network, {n: w.double() for n, w in weights.items()}, (inputs.double(),)
            )
            for weights in (before, after)
        )
    return (first - second).abs().max().item()


def assert_function_preserved(error: float, tolerance: float) -> None:
    """Refuse a permutation that changes the function.

    Args:
        error: See `function_error`.
        tolerance: Largest allowed change of any output.

    Raises:
        UserError: If the error is above the tolerance, or not a number.
    """
    if not error <= tolerance:
        raise UserError(
            f"permutation changes outputs by {error:.2e}; allowed is {tolerance:.0e}: "
            "the clique groups do not match the network"
        )
