"""2-opt for many cities: the best reversal of one place after the other, not the best of all.

A move of `path.descend` looks at all pairs of places, which takes hours for thousands of cities.
Here a move looks at one row of pairs, and a pass over all rows costs what one move costs there.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

_EPSILON = 1e-10  # of the longest distance


def descend_by_rows(
    tour: Int[ndarray, " m"], distances: Float[ndarray, "m m"]
) -> Int[ndarray, " m"]:
    """Reverse parts of a tour until no reversal shortens it.

    Args:
        tour: Any tour.
        distances: Between its cities, the free one included.

    Returns:
        A tour that no reversal shortens.
    """
    least = _EPSILON * float(distances.max(initial=0.0))
    tour, improved = tour.copy(), True
    while improved:
        improved = False
        for place in range(len(tour) - 2):
            while True:
                gain, last = _best_reversal(tour, distances, place)
                if gain <= least:
                    break
                tour[place + 1 : last + 1] = tour[place + 1 : last + 1][::-1]
                improved = True
    return tour


def _best_reversal(tour: ndarray, distances: ndarray, place: int) -> tuple[float, int]:
    """Edges (place, place + 1) and (last, last + 1) become (place, last) and their successors."""
    here, following = tour[place], tour[place + 1]
    ends, nexts = tour[place + 2 :], np.append(tour[place + 3 :], tour[0])
    gains = (
        distances[here, following]
        + distances[ends, nexts]
        - distances[here, ends]
        - distances[following, nexts]
    )
    best = int(np.argmax(gains))
    return float(gains[best]), place + 2 + best
