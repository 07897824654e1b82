"""Permute a network so that its weights become smooth: the whole of it in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy import ndarray
from torch import nn

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError
from neumeta.permute.distances import Objective
from neumeta.permute.orders import GroupResult, find_orders
from neumeta.permute.solve import order_units
from neumeta.permute.solvers import SOLVERS, Solver
from neumeta.tracing.arrangement import Arrangement
from neumeta.tracing.call import Forward
from neumeta.tracing.cliques import Pinned
from neumeta.tracing.trace import trace_cliques


@dataclass(frozen=True)
class Smoothing:
    """A permutation of a network, and what it gains.

    Attributes:
        arrangement: To apply, invert and save.
        groups: One result per clique group.
        pinned: What cannot move, with the reason.
        branches: See `Cliques`.
    """

    arrangement: Arrangement
    groups: tuple[GroupResult, ...]
    pinned: tuple[Pinned, ...]
    branches: tuple[str, ...] = ()


def _check(name: str, value: object, allowed: Sequence[object]) -> None:
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise UserError(f"{name} is {value!r}; allowed are {', '.join(map(str, allowed))}")


@called_by_users
def smooth(
    network: nn.Module,
    *examples: Any,
    forward: Forward | None = None,
    solver: Solver = "best",
    seed: int = 0,
    objective: Objective = "all",
    normalise: bool = False,
    **keywords: Any,
) -> Smoothing:
    """Find smoothing orders for all clique groups of a network (Algorithm 1).

    Parameters decide; buffers, such as running statistics, follow.

    Args:
        network: Any module, in evaluation mode; not changed.
        *examples: Arguments of its forward, such as a batch of two images.
        forward: See `trace_cliques`; also the way for arguments whose names are taken here.
        solver: See `order_units`.
        seed: Of the solver. Each group draws from a generator of its own, so that its result
            depends neither on the other groups nor on their order.
        objective: See `group_distances`.
        normalise: Likewise.
        **keywords: Further arguments of its forward, by name.

    Returns:
        The permutation: `smooth(...).arrangement.apply(network.state_dict())`.

    Raises:
        UserError: If an option is none of those allowed, or the network cannot be traced.
    """
    _check("solver", solver, SOLVERS)
    _check("objective", objective, get_args(Objective))
    _check("normalise", normalise, (False, True))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"seed is {seed!r}; must be a whole number from 0 up")

    def solve(distances: ndarray) -> ndarray:
        return order_units(distances, solver, np.random.default_rng(seed))

    cliques = trace_cliques(network, *examples, forward=forward, **keywords)
    arrangement, results = find_orders(
        network.state_dict(),
        cliques.groups,
        solve,
        objective=objective,
        normalise=normalise,
        silent=frozenset(name for name, _ in network.named_buffers()),
    )
    return Smoothing(arrangement, results, cliques.pinned, cliques.branches)
