"""The strategies that are compared: how an order is sought, and by what it is judged."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from neumeta.methods.metamorphosis.params.study import OrderStrategy
from neumeta.permute.distances import Objective
from neumeta.permute.solve import order_units
from neumeta.permute.solvers import Solver


@dataclass(frozen=True)
class Strategy:
    """One way to find orders (supplement, section 5).

    Attributes:
        name: As in tables.
        solver: See `order_units`.
        objective: Whether all tensors of a group count, or the first alone, as layer by layer.
    """

    name: OrderStrategy
    solver: Solver
    objective: Objective

    def solve(self, seed: int) -> Callable[[ndarray], ndarray]:
        """Make the solver of one run; its groups draw one after the other from one generator.

        Args:
            seed: Of the generator.

        Returns:
            From distances, shape (n, n), to an order, shape (n,).
        """
        generator = np.random.default_rng(seed)
        return lambda distances: order_units(distances, self.solver, generator)


STRATEGIES = (
    Strategy("original", "none", "all"),
    Strategy("random", "random", "all"),
    Strategy("layer-greedy", "greedy", "first"),
    Strategy("layer-2-opt", "2-opt", "first"),
    Strategy("ours", "best", "all"),
)
