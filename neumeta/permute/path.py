"""A short Hamiltonian path: seeded local search on a tour with one free city.

The open path problem becomes a tour problem by a dummy city at distance 0 from all others; the
tour is rotated so that the dummy comes first and is then cut there, so no paid edge is lost.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

_EPSILON = 1e-10
_LONGEST_SEGMENT = 3
_MOST_STARTS = 600


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
    padded = with_free_city(distances)
    starts = [np.arange(count + 1), greedy_tour(padded)]
    best = min((descend(tour, padded) for tour in starts), key=lambda t: tour_length(t, padded))
    return as_path(kicked(best, padded, perturbations, generator))


def with_free_city(distances: Float[ndarray, "n n"]) -> Float[ndarray, "m m"]:
    """Distances with a last city at distance 0 from all others.

    Args:
        distances: Between n cities.

    Returns:
        Between n + 1.
    """
    return np.pad(distances, (0, 1))


def tour_of(path: Int[ndarray, " n"]) -> Int[ndarray, " m"]:
    """Close a path to a tour through the free city.

    Args:
        path: Order of n cities.

    Returns:
        Order of n + 1.
    """
    return np.append(path, len(path))


def as_path(tour: Int[ndarray, " m"]) -> Int[ndarray, " n"]:
    """Cut a tour at the free city.

    Args:
        tour: Order of n + 1 cities.

    Returns:
        Order of n; of the two directions, the one that starts at the lower city.
    """
    turned = np.roll(tour, -int(np.argmax(tour == len(tour) - 1)))[1:]
    return turned if turned[0] < turned[-1] else turned[::-1].copy()


def tour_length(tour: Int[ndarray, " m"], distances: Float[ndarray, "m m"]) -> float:
    """Length of a tour, back to its start.

    Args:
        tour: With the free city.
        distances: Likewise.

    Returns:
        The sum of the distances of neighbours: the length of the path.
    """
    return float(distances[tour, np.roll(tour, -1)].sum())


def greedy_tour(distances: Float[ndarray, "m m"]) -> Int[ndarray, " m"]:
    """The shortest of the tours that start somewhere and always go on to the nearest city.

    Every city is a start, of large problems every second, third, ..., so that time stays quadratic.

    Args:
        distances: With the free city.

    Returns:
        A tour.
    """
    count = len(distances)
    starts = range(0, count - 1, 1 + count // _MOST_STARTS)
    tours = [_nearest_neighbour(distances, start) for start in starts]
    return min(tours, key=lambda tour: tour_length(tour, distances))


def kicked(
    tour: Int[ndarray, " m"],
    distances: Float[ndarray, "m m"],
    kicks: int,
    generator: np.random.Generator,
) -> Int[ndarray, " m"]:
    """Leave a local optimum by double bridges, as long as that pays.

    Args:
        tour: A local optimum.
        distances: With the free city.
        kicks: How many to try; tours of up to seven cities need none.
        generator: Source of randomness.

    Returns:
        The shortest tour that was seen.
    """
    best, best_length = tour, tour_length(tour, distances)
    for _ in range(kicks if len(tour) > 7 else 0):
        candidate = descend(_double_bridge(best, generator), distances)
        length = tour_length(candidate, distances)
        if length < best_length - _EPSILON:
            best, best_length = candidate, length
    return best


def descend(
    tour: Int[ndarray, " m"], distances: Float[ndarray, "m m"], *, segments: bool = True
) -> Int[ndarray, " m"]:
    """Apply the best move until none shortens the tour.

    Args:
        tour: Any tour.
        distances: With the free city.
        segments: Whether segments may be moved (Or-opt), beside reversals (2-opt).

    Returns:
        A local optimum.
    """
    # Gains that are rounding alone would be found again and again, where distances are huge.
    least = max(_EPSILON, 8 * np.finfo(np.float64).eps * float(distances.max(initial=0.0)))
    while True:
        # Both move kinds assume positions 0..n-1 without wrap-around: the dummy sits at 0.
        tour = np.roll(tour, -int(np.argmax(tour == len(tour) - 1)))
        gain, better = _best_two_opt(tour, distances)
        if segments:
            gain_or, moved = _best_or_opt(tour, distances)
            if gain_or > gain:
                gain, better = gain_or, moved
        if gain <= least:
            return tour
        tour = better


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
