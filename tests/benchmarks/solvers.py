"""Solvers of the permutation: time, and how far above the proven bound, on the same groups."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray

from neumeta.data.torchvision_door import models
from neumeta.models.architectures import build_for
from neumeta.models.weights_file import read_weights
from neumeta.permute.bound import path_bound
from neumeta.permute.distances import group_distances
from neumeta.permute.orders import BOUND_ROUNDS
from neumeta.permute.solve import order_units
from neumeta.permute.solvers import SOLVERS
from neumeta.tracing.trace import trace_cliques
from tests.benchmarks.timing import as_time, line

PUBLIC = "resnet20-12fca82f.th"
LARGE = 512  # units; groups below are left out of the second problem


def problems(tiny: bool) -> Iterator[tuple[str, list[ndarray]]]:
    """Distances of groups of channels, by the name of the problem."""
    if tiny:
        yield (
            "toy",
            [np.abs(np.subtract.outer(x, x)) for x in np.random.default_rng(0).random((2, 9))],
        )
        return
    file = Path(os.environ.get("NEUMETA_CHECKPOINT_ROOT") or "data/checkpoints") / PUBLIC
    if file.is_file():
        network, images = build_for("cifar_resnet20", read_weights(file), str(file), fold=True)
        yield "resnet20", _distances(network, images, 1)
    torch.manual_seed(0)
    network = models.resnet18(weights=None).eval()
    yield "resnet18-512", _distances(network, torch.randn(2, 3, 64, 64), LARGE)


def _distances(network: torch.nn.Module, images: torch.Tensor, smallest: int) -> list[ndarray]:
    silent = {name for name, _ in network.named_buffers()}
    state = network.state_dict()
    groups = [g for g in trace_cliques(network, images).groups if len(g) >= smallest]
    return [group_distances(state, group, silent=silent).numpy() for group in groups]


def solvers(tiny: bool) -> Iterator[str]:
    """One line a solver and problem: time for all groups, worst and mean gap."""
    for problem, groups in problems(tiny):
        lengths, times = [], []
        for solver in SOLVERS:
            start = time.perf_counter()
            orders = [order_units(d, solver, np.random.default_rng(0)) for d in groups]
            times.append(time.perf_counter() - start)
            lengths.append([_length(d, order) for d, order in zip(groups, orders, strict=True)])
        best = np.min(lengths, axis=0)
        start = time.perf_counter()
        bounds = [
            path_bound(d, float(known), rounds=BOUND_ROUNDS)
            for d, known in zip(groups, best, strict=True)
        ]
        proof = time.perf_counter() - start
        gaps = np.array(lengths) / np.array(bounds) - 1
        for solver, spent, gap in zip(SOLVERS, times, gaps, strict=True):
            name = f"solver-{solver}-{problem}"
            yield line(name, as_time(spent), f"{gap.max():.2%}", f"{gap.mean():.2%}")
        yield line(f"bound-{problem}", as_time(proof), "", "")


def _length(distances: ndarray, order: ndarray) -> float:
    return float(distances[order[:-1], order[1:]].sum())
