"""A proven lower bound on the length of the shortest path: how far an order can be from the best.

Held and Karp's bound (Operations Research 18, 1970): a tour is a spanning tree of all cities but
one, and two edges of that one, in which every city has two edges. Without the last condition the
cheapest such graph (a 1-tree) is found at once and is never longer than the tour; prices on the
cities, found by subgradient steps, come close to the condition.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_PATIENCE = 15  # rounds without a better bound before the step shrinks
_SHRINK = 0.6
_SLOWEST = 1e-4  # share of the first step length at which the search ends


def path_bound(distances: Float[ndarray, "n n"], length: float, *, rounds: int) -> float:
    """Bound the length of every path through all cities from below.

    The result is proven whatever the number of rounds; more rounds bring it closer.

    Args:
        distances: Symmetric, non-negative, zero diagonal.
        length: Length of a known path, which sets the step lengths.
        rounds: Subgradient steps at most.

    Returns:
        A number that no path is shorter than, up to rounding.
    """
    count = len(distances)
    if count < 3:
        return float(distances[0, -1]) if count else 0.0
    # A free city joins the ends of the path, so that it is a tour.
    padded = np.zeros((count + 1, count + 1))
    padded[:count, :count] = distances
    prices, best_prices = np.zeros(count + 1), np.zeros(count + 1)
    best, factor, waited = 0.0, 2.0, 0
    direction = np.zeros(count + 1)
    for round_ in range(rounds):
        bound, degrees = _one_tree(padded, prices)
        waited += 1
        if bound > best:
            best, best_prices, waited = bound, prices, 0
        excess = degrees - 2
        if not excess.any():  # a tour: the bound is its length
            return bound
        if waited >= _PATIENCE:
            factor, waited, prices = factor * _SHRINK, 0, best_prices
            if factor < 2 * _SLOWEST:
                break
        direction = excess if round_ == 0 else 0.7 * excess + 0.3 * direction
        missing = max(length - bound, 1e-12 * length)
        prices = prices + factor * missing / (direction @ direction) * direction
    return best


def _one_tree(distances: ndarray, prices: ndarray) -> tuple[float, ndarray]:
    """Cheapest 1-tree around the last city: its length less the prices, and degrees."""
    last = len(distances) - 1
    costs = distances + prices[:, None] + prices[None]
    degrees = np.zeros(last + 1)
    free = np.ones(last, dtype=bool)
    nearest, parent = costs[0, :last].copy(), np.zeros(last, dtype=int)
    free[0], nearest[0] = False, np.inf
    total = 0.0
    for _ in range(last - 1):  # Prim's algorithm, a row at a time
        city = int(np.argmin(nearest))
        total += nearest[city]
        degrees[city] += 1
        degrees[parent[city]] += 1
        free[city], nearest[city] = False, np.inf
        closer = free & (costs[city, :last] < nearest)
        nearest[closer] = costs[city, :last][closer]
        parent[closer] = city
    ends = np.argpartition(costs[last, :last], 1)[:2]
    degrees[ends] += 1
    degrees[last] = 2
    return float(total + costs[last, ends].sum() - 2 * prices.sum()), degrees
