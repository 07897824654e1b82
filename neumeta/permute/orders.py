"""Orders of clique groups, each with a proof of how far from the best it can be."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy import ndarray
from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.core.progress import progress
from neumeta.permute.bound import path_bound
from neumeta.permute.distances import Objective, group_distances, path_length
from neumeta.tracing.arrangement import Arrangement
from neumeta.tracing.groups import Group

BOUND_ROUNDS = 300
_ROUNDING = 1e-9  # relative; a gap below it is none


@dataclass(frozen=True)
class GroupResult:
    """What was found for one clique group.

    Attributes:
        name: Of the group.
        channels: Number of units.
        length_before: Length of the path through them in the given order; see `group_distances`.
        length_after: Likewise in the found order.
        lower_bound: Proven up to rounding: no order is shorter. For a group of blocks, as they are
            once the channels inside them have their orders.
        order: Unit `order[k]` comes to place k.
    """

    name: str
    channels: int
    length_before: float
    length_after: float
    lower_bound: float
    order: tuple[int, ...]

    @property
    def gap(self) -> float:
        """How much longer the found path is than the bound, as a share of the bound.

        Returns:
            0 where the order is proven to be the best; infinite where the bound says nothing.
        """
        longer = self.length_after - self.lower_bound
        if longer <= _ROUNDING * self.length_after:
            return 0.0
        return longer / self.lower_bound if self.lower_bound > 0 else math.inf

    def facts(self) -> dict[str, Any]:
        """The result without the order, ready for JSON.

        Returns:
            Name, channels, lengths, bound and gap; the gap is null where the bound says nothing.
        """
        return {
            "name": self.name,
            "channels": self.channels,
            "length_before": self.length_before,
            "length_after": self.length_after,
            "lower_bound": self.lower_bound,
            "gap": self.gap if math.isfinite(self.gap) else None,
        }


def find_orders(
    tensors: Mapping[str, Tensor],
    groups: Sequence[Group],
    solve: Callable[[ndarray], ndarray],
    *,
    objective: Objective = "all",
    normalise: bool = False,
    silent: Collection[str] = (),
) -> tuple[Arrangement, tuple[GroupResult, ...]]:
    """Solve each clique group for its smoothing order (Algorithm 1).

    L1 distance ignores the order along every other axis, so one pass over the groups of channels
    is exact. Groups of blocks come last: what lies inside a block has its own order by then.

    Args:
        tensors: Parameters and buffers by name.
        groups: The clique groups.
        solve: From distances, shape (n, n), to an order, shape (n,).
        objective: What `solve` is given; see `group_distances`. Lengths and bounds are those of
            all members, whatever an order was found by.
        normalise: See `group_distances`.
        silent: Likewise.

    Returns:
        The arrangement, and one result per group.

    Raises:
        UserError: If weights are not finite.
    """
    orders: dict[str, tuple[int, ...]] = {}
    results = []
    current = tensors
    inner = [group for group in groups if group.level == "channel"]
    outer = [group for group in groups if group.level == "block"]
    for group in progress((*inner, *outer), "orders", "group", name=lambda g: g.name):
        if outer and group is outer[0]:
            current = Arrangement.of_orders(inner, orders, tensors).apply(tensors)
        distances = group_distances(current, group, normalise=normalise, silent=silent)
        given = distances
        if objective != "all":
            given = group_distances(
                current, group, objective=objective, normalise=normalise, silent=silent
            )
        if not bool(distances.isfinite().all()):
            raise UserError(f"group {group.name!r}: its weights are not all finite numbers")
        order = torch.tensor(solve(given.numpy()).tolist())
        before = path_length(distances, torch.arange(len(group)))
        after = path_length(distances, order)
        bound = path_bound(distances.numpy(), min(before, after), rounds=BOUND_ROUNDS)
        orders[group.name] = tuple(order.tolist())
        results.append(
            GroupResult(group.name, len(group), before, after, bound, orders[group.name])
        )
    return Arrangement.of_orders([*inner, *outer], orders, tensors), tuple(results)
