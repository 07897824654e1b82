"""Solvers of the shortest path through all units: from doing nothing to the best we know."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from pyvrp import Client, Depot, Location, ProblemData, VehicleType
from pyvrp import solve as solve_routes
from pyvrp.stop import MaxIterations

from neumeta.permute.path import (
    as_path,
    descend,
    greedy_tour,
    kicked,
    shortest_path,
    tour_length,
    tour_of,
    with_free_city,
)
from neumeta.permute.rows import descend_by_rows
from neumeta.permute.solvers import Solver

_ROUNDS = 20  # of PyVRP's search: more gain less than the kicks that follow
_KICKS = 50
_LARGEST_KICKED = 128  # units; beyond, a kick costs more time than it gains
_LARGEST_DESCENDED = 1024  # likewise for a move that looks at all pairs; beyond, moves by rows
_RESOLUTION = 2**40  # of whole numbers that stand for the longest distance


def order_units(
    distances: Float[ndarray, "n n"], solver: Solver, generator: np.random.Generator
) -> Int[ndarray, " n"]:
    """Find an order of units by a solver.

    Args:
        distances: Symmetric, non-negative, zero diagonal.
        solver: `none` keeps the order; `random` draws one; `greedy` is the best of the nearest
            neighbour paths from every start; `2-opt` improves that by reversals; `search` by
            reversals, moved segments and kicks; `best` starts from PyVRP's routes as well. Beyond
            1,024 units all of them stop at reversals.
        generator: Source of randomness.

    Returns:
        A permutation. Those of `search` and `best` are never longer than the given order.
    """
    count = len(distances)
    if solver == "none" or (count <= 2 and solver != "random"):
        return np.arange(count)
    return _SOLVERS[solver](distances, generator)


def quick_order(
    distances: Float[ndarray, "n n"], generator: np.random.Generator
) -> Int[ndarray, " n"]:
    """Find an order within seconds, whatever the number of units.

    Args:
        distances: See `order_units`.
        generator: Likewise.

    Returns:
        That of solver `search` up to 128 units, of `2-opt` beyond.
    """
    solver: Solver = "search" if len(distances) <= _LARGEST_KICKED else "2-opt"
    return order_units(distances, solver, generator)


def _random(distances: ndarray, generator: np.random.Generator) -> ndarray:
    return generator.permutation(len(distances))


def _greedy(distances: ndarray, generator: np.random.Generator) -> ndarray:
    return as_path(greedy_tour(with_free_city(distances)))


def _two_opt(distances: ndarray, generator: np.random.Generator) -> ndarray:
    padded = with_free_city(distances)
    tour = greedy_tour(padded)
    if len(distances) > _LARGEST_DESCENDED:
        return as_path(descend_by_rows(tour, padded))
    return as_path(descend(tour, padded, segments=False))


def _search(distances: ndarray, generator: np.random.Generator) -> ndarray:
    if len(distances) > _LARGEST_DESCENDED:
        return _shortest_descended(distances, [])
    return shortest_path(distances, perturbations=_KICKS, generator=generator)


def _best(distances: ndarray, generator: np.random.Generator) -> ndarray:
    """A few starts, the descent of each (of large problems only the shortest), then kicks."""
    count, padded = len(distances), with_free_city(distances)
    routed = tour_of(_routed(distances, int(generator.integers(2**31))))
    if count > _LARGEST_DESCENDED:
        return _shortest_descended(distances, [routed])
    starts = sorted(
        (np.arange(count + 1), greedy_tour(padded), routed), key=lambda t: tour_length(t, padded)
    )
    if count > _LARGEST_KICKED:
        return as_path(descend(starts[0], padded))
    tours = [descend(tour, padded) for tour in starts]
    tour = min(tours, key=lambda t: tour_length(t, padded))
    return as_path(kicked(tour, padded, _KICKS, generator))


def _shortest_descended(distances: ndarray, tours: list[ndarray]) -> ndarray:
    """For very many units: the shortest of the given order, a greedy one and others, then 2-opt."""
    padded = with_free_city(distances)
    starts = [np.arange(len(padded)), greedy_tour(padded), *tours]
    return as_path(descend_by_rows(min(starts, key=lambda t: tour_length(t, padded)), padded))


def _routed(distances: ndarray, seed: int) -> ndarray:
    """One vehicle's route through all cities, from and to a depot that is near to all of them."""
    count = len(distances)
    longest = distances.max()
    if longest == 0:
        return np.arange(count)
    whole: Any = np.zeros((count + 1, count + 1), dtype=np.int64)
    whole[1:, 1:] = np.rint(distances * (_RESOLUTION / longest / count))
    data = ProblemData(
        locations=[Location(0, 0)] * (count + 1),
        clients=[Client(city) for city in range(1, count + 1)],
        depots=[Depot(0)],
        vehicle_types=[VehicleType()],
        distance_matrices=[whole],
        duration_matrices=[np.zeros_like(whole)],
    )
    result = solve_routes(data, MaxIterations(_ROUNDS), seed=seed, collect_stats=False)
    (route,) = result.best.routes()
    return np.array([visit.idx for visit in route if visit.is_client()])


_SOLVERS: dict[Solver, Callable[[ndarray, np.random.Generator], ndarray]] = {
    "random": _random,
    "greedy": _greedy,
    "2-opt": _two_opt,
    "search": _search,
    "best": _best,
}
