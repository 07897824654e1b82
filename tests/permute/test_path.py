from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neumeta.permute.path import descend, shortest_path


def distances_of(points: np.ndarray) -> np.ndarray:
    return np.abs(points[:, None] - points[None]).sum(-1)


def length(distances: np.ndarray, order: np.ndarray) -> float:
    return float(sum(distances[a, b] for a, b in pairwise(order)))


@pytest.mark.parametrize("seed", range(6))
def test_finds_the_optimum_of_small_problems(seed: int) -> None:
    distances = distances_of(np.random.default_rng(seed).normal(size=(8, 3)))
    found = shortest_path(distances, perturbations=50, generator=np.random.default_rng(0))
    best = min(length(distances, np.array(order)) for order in permutations(range(8)))
    assert sorted(found) == list(range(8))
    assert length(distances, found) == pytest.approx(best)


def test_finds_the_line() -> None:
    shuffled = np.random.default_rng(3).permutation(60)
    distances = distances_of(shuffled[:, None].astype(float))
    found = shortest_path(distances, perturbations=20, generator=np.random.default_rng(0))
    assert length(distances, found) == 59


@given(st.integers(1, 12), st.integers(0, 100))
def test_never_longer_than_the_given_order_and_repeatable(count: int, seed: int) -> None:
    distances = distances_of(np.random.default_rng(seed).normal(size=(count, 4)))
    first, second = (
        shortest_path(distances, perturbations=3, generator=np.random.default_rng(1))
        for _ in range(2)
    )
    assert sorted(first) == list(range(count))
    assert length(distances, first) <= length(distances, np.arange(count)) + 1e-9
    assert np.array_equal(first, second)


@pytest.mark.timeout(20)
def test_huge_distances_come_to_an_end() -> None:
    """The gain of a move was rounding alone, and was found again for ever: a damaged file."""
    points = np.random.default_rng(11).normal(size=(12, 4))
    points[1, 0], points[2, 1] = 5.2803195985447458e30, 8.197731590616999e26
    points[9, 2] = 85461913567232.6
    distances = np.zeros((13, 13))
    distances[:12, :12] = distances_of(points)
    found = descend(np.array([12, 11, 10, 9, 3, 4, 5, 6, 7, 1, 0, 8, 2]), distances)
    assert sorted(found.tolist()) == list(range(13))
