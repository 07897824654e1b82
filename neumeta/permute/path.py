"""A short Hamiltonian path: seeded local search on a tour with one free city.

The open path problem becomes a tour problem by a dummy city at distance 0 from all others; the
tour is rotated so that the dummy comes first and is then cut there, so no paid edge is lost.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

_EPSILON = 1e-10
_LONGEST_SEGMENT = 3


def shortest_path(
    distances: Float[ndarray, "n n"], *, perturbations: int, generator: np.random.Generator
) -> Int[ndarray, " n"]:
    """Find a short path through all cities.

    Greedy start from the best of all cities, then 2-opt and Or-opt to a local optimum, then
    `perturbations` rounds of double-bridge kicks that keep what is shorter. The identity order
    is tried as a start as well, so the result is never longer than it.

    Args:
        distances: Symmetric, non-negative, zero diagonal.
        perturbations: Number of kicks.
        generator: Source of randomness.

    Returns:
        The order of the cities; of the two directions, the one that starts at the lower city.
    """
    count = len(distances)
    if count <= 2:
        return np.arange(count)
    padded = np.zeros((count + 1, count + 1))
    padded[:count, :count] = distances
    starts = [np.arange(count + 1), _greedy_tour(padded)]
    best = min((_improve(tour, padded) for tour in starts), key=lambda t: _length(t, padded))
    best_length = _length(best, padded)
    for _ in range(perturbations if count > 6 else 0):
        candidate = _improve(_double_bridge(best, generator), padded)
        length = _length(candidate, padded)
        if length < best_length - _EPSILON:
            best, best_length = candidate, length
    turned = np.roll(best, -int(np.argmax(best == count)))[1:]
    return turned if turned[0] < turned[-1] else turned[::-1].copy()


def _length(tour: ndarray, distances: ndarray) -> float:
    return float(distances[tour, np.roll(tour, -1)].sum())


def _greedy_tour(distances: ndarray) -> ndarray:
    count = len(distances)
    tours = [_nearest_neighbour(distances, start) for start in range(count - 1)]
    return min(tours, key=lambda tour: _length(tour, distances))


def _nearest_neighbour(distances: ndarray, start: int) -> ndarray:
    dummy = len(distances) - 1
    tour = [dummy, start]
    open_cost = distances[start].copy()
    free = np.ones(len(distances), dtype=bool)
    free[[dummy, start]] = False
    while free.any():
        following = int(np.argmin(np.where(free, open_cost, np.inf)))
        tour.append(following)
        free[following] = False
        open_cost = distances[following]
    return np.array(tour)


def _improve(tour: ndarray, distances: ndarray) -> ndarray:
    """Apply the best 2-opt or Or-opt move until none shortens the tour."""
    while True:
        # Both move kinds assume positions 0..n-1 without wrap-around: the dummy sits at 0.
        tour = np.roll(tour, -int(np.argmax(tour == len(tour) - 1)))
        gain_2opt, reversed_tour = _best_two_opt(tour, distances)
        gain_or, moved_tour = _best_or_opt(tour, distances)
        if max(gain_2opt, gain_or) <= _EPSILON:
            return tour
        tour = reversed_tour if gain_2opt >= gain_or else moved_tour


def _best_two_opt(tour: ndarray, distances: ndarray) -> tuple[float, ndarray]:
    """Reverse tour[i+1..j]: edges (i, i+1) and (j, j+1) become (i, j) and (i+1, j+1)."""
    nxt = np.roll(tour, -1)
    edge = distances[tour, nxt]
    new = distances[np.ix_(tour, tour)] + distances[np.ix_(nxt, nxt)]
    gain = np.triu(edge[:, None] + edge[None, :] - new, k=1)
    i, j = np.unravel_index(int(np.argmax(gain)), gain.shape)
    result = tour.copy()
    result[i + 1 : j + 1] = result[i + 1 : j + 1][::-1]
    return float(gain[i, j]), result


def _best_or_opt(tour: ndarray, distances: ndarray) -> tuple[float, ndarray]:
    """Move a segment of up to three cities to another edge, either way round."""
    count = len(tour)
    nxt = np.roll(tour, -1)
    edge = distances[tour, nxt]
    best: tuple[float, int, int, int, bool] = (0.0, 1, 1, 0, False)
    for length in range(1, min(_LONGEST_SEGMENT, count - 3) + 1):
        first = np.arange(1, count - length + 1)
        last = first + length - 1
        before, after = tour[first - 1], nxt[last]
        freed = edge[first - 1] + edge[last] - distances[before, after]
        head, tail = tour[first], tour[last]
        # Candidate edges (k, k+1) in columns; those that touch the segment are ruled out.
        k = np.arange(count)
        touching = (k[None] >= first[:, None] - 1) & (k[None] <= last[:, None])
        plain = distances[np.ix_(head, tour)] + distances[np.ix_(tail, nxt)]
        flipped = distances[np.ix_(tail, tour)] + distances[np.ix_(head, nxt)]
        for turned, added in ((False, plain), (True, flipped)):
            gain = np.where(touching, -np.inf, freed[:, None] - added + edge[None])
            s, edge_after = np.unravel_index(int(np.argmax(gain)), gain.shape)
            if gain[s, edge_after] > best[0]:
                best = (float(gain[s, edge_after]), int(first[s]), length, int(edge_after), turned)
    gain_found, start, length, target, turned = best
    segment = tour[start : start + length]
    rest = np.delete(tour, np.arange(start, start + length))
    place = target + 1 if target < start else target + 1 - length
    inserted = np.insert(rest, place, segment[::-1] if turned else segment)
    return gain_found, inserted


def _double_bridge(tour: ndarray, generator: np.random.Generator) -> ndarray:
    a, b, c = np.sort(generator.choice(np.arange(1, len(tour)), size=3, replace=False))
    return np.concatenate([tour[:a], tour[b:c], tour[a:b], tour[c:]])
