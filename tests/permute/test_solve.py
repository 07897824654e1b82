"""Solvers and the bound: what they promise, held against all orders of small problems."""

import json
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import ndarray

from neumeta.permute import solve
from neumeta.permute.bound import path_bound
from neumeta.permute.path import descend, tour_length, with_free_city
from neumeta.permute.rows import descend_by_rows
from neumeta.permute.solve import order_units, quick_order
from neumeta.permute.solvers import SOLVERS, Solver


def distances_of(points: ndarray) -> ndarray:
    return np.abs(points[:, None] - points[None]).sum(-1)


def length(distances: ndarray, order: ndarray) -> float:
    return float(distances[order[:-1], order[1:]].sum())


def solved(distances: ndarray, solver: Solver, seed: int = 0) -> ndarray:
    return order_units(distances, solver, np.random.default_rng(seed))


def shortest(distances: ndarray) -> float:
    orders = np.array(list(permutations(range(len(distances)))))
    return float(distances[orders[:, :-1], orders[:, 1:]].sum(axis=1).min())


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 1000))
def test_every_solver_gives_an_order_and_the_same_one_again(
    count: int, dimensions: int, seed: int
) -> None:
    # Rounded, so that some units are alike and some distances equal.
    points = np.random.default_rng(seed).normal(size=(count, dimensions)).round(1)
    distances = distances_of(points)
    lengths = {}
    for solver in SOLVERS:
        order = solved(distances, solver)
        assert sorted(order) == list(range(count))
        assert np.array_equal(order, solved(distances, solver))
        lengths[solver] = length(distances, order)
    assert lengths["none"] == length(distances, np.arange(count))
    assert lengths["2-opt"] <= lengths["greedy"] + 1e-9
    for good in ("search", "best"):
        assert lengths[good] <= min(lengths["none"], lengths["2-opt"]) + 1e-9


@given(st.integers(2, 7), st.integers(0, 300))
def test_the_best_order_lies_between_bound_and_optimum(count: int, seed: int) -> None:
    distances = distances_of(np.random.default_rng(seed).normal(size=(count, 3)))
    optimum = shortest(distances)
    found = length(distances, solved(distances, "best"))
    assert found == pytest.approx(optimum)
    # Proven whatever the length that guides the prices, and after however few rounds.
    for guide, rounds in ((found, 300), (3 * found, 300), (found, 1)):
        assert path_bound(distances, guide, rounds=rounds) <= optimum * (1 + 1e-9)
    assert path_bound(distances, found, rounds=300) >= 0.9 * optimum


def test_a_line_is_found_and_proven() -> None:
    distances = distances_of(np.random.default_rng(0).permutation(200)[:, None].astype(float))
    assert length(distances, solved(distances, "best")) == 199
    assert path_bound(distances, 199.0, rounds=300) == pytest.approx(199)


@pytest.mark.parametrize(("count", "largest_gap"), [(64, 0.01), (300, 0.02)])
def test_clouds_are_solved_within_a_proven_gap(count: int, largest_gap: float) -> None:
    """Harder than trained weights; 300 units take the way of large groups."""
    distances = distances_of(np.random.default_rng(1).normal(size=(count, 30)))
    found = length(distances, solved(distances, "best"))
    bound = path_bound(distances, found, rounds=300)
    assert 0 <= found / bound - 1 < largest_gap
    assert found < length(distances, solved(distances, "greedy"))


@given(st.integers(3, 40), st.integers(0, 300))
def test_descent_by_rows_ends_where_no_reversal_helps(count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    padded = with_free_city(distances_of(generator.normal(size=(count, 3)).round(1)))
    start = generator.permutation(count + 1)
    tour = descend_by_rows(start, padded)
    assert sorted(tour) == list(range(count + 1))
    assert tour_length(tour, padded) <= tour_length(start, padded) + 1e-9
    # The other 2-opt looks at all pairs of places at once, and finds nothing left to do.
    again = descend(tour, padded, segments=False)
    assert tour_length(again, padded) == pytest.approx(tour_length(tour, padded))


def test_very_many_units_take_the_way_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered, so that 60 units count as very many."""
    distances = distances_of(np.random.default_rng(1).normal(size=(60, 10)))
    usual = {solver: length(distances, solved(distances, solver)) for solver in SOLVERS}
    monkeypatch.setattr(solve, "_LARGEST_DESCENDED", 20)
    monkeypatch.setattr(solve, "descend", None)  # its moves look at all pairs: not to be called
    monkeypatch.setattr(solve, "shortest_path", None)
    found = {solver: length(distances, solved(distances, solver)) for solver in SOLVERS}
    for solver in SOLVERS[:3]:
        assert found[solver] == usual[solver]
    for solver in SOLVERS[3:]:
        assert usual["best"] <= found[solver] < usual["greedy"]


@pytest.mark.parametrize(("count", "solver"), [(20, "search"), (200, "2-opt")])
def test_a_quick_order_takes_the_solver_that_the_number_of_units_allows(
    count: int, solver: Solver
) -> None:
    distances = distances_of(np.random.default_rng(0).normal(size=(count, 3)))
    found = quick_order(distances, np.random.default_rng(0))
    assert np.array_equal(found, solved(distances, solver))


def test_units_that_are_all_alike() -> None:
    for solver in SOLVERS:
        assert sorted(solved(np.zeros((9, 9)), solver)) == list(range(9))
    assert path_bound(np.zeros((9, 9)), 0.0, rounds=300) == 0


PRINT_ORDERS = """
import json, sys
import numpy as np, torch
torch.set_num_threads(int(sys.argv[1]))
from neumeta.models.lenet import LeNet
from neumeta.permute.smooth import smooth
for solver, width in (("best", 40), ("search", 8)):
    torch.manual_seed(0)
    network = LeNet(width, in_channels=1, classes=3, head="pooled").eval()
    found = smooth(network, torch.zeros(2, 1, 8, 8), solver=solver)
    print(json.dumps([list(group.order) for group in found.groups]))
"""


def test_processes_and_thread_counts_give_the_same_orders() -> None:
    """The widest group of 40 takes the way of large groups."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PRINT_ORDERS, threads],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(outputs) == 1
    best, search = (json.loads(line) for line in outputs.pop().splitlines())
    assert [len(order) for order in best] == [40, 80, 160]
    assert [len(order) for order in search] == [8, 16, 32]
