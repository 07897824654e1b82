"""Total variation of one network in the orders of every strategy."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from neumeta.core.progress import progress
from neumeta.methods.metamorphosis.orders.strategies import STRATEGIES, Strategy
from neumeta.models.family import Family
from neumeta.models.parameters import load_parameters
from neumeta.permute.function import assert_function_preserved, function_change
from neumeta.permute.orders import GroupResult, find_orders
from neumeta.permute.variation import total_variation
from neumeta.tracing.groups import Group
from neumeta.tracing.trace import trace_cliques

TOLERANCE = 1e-9  # of the largest output, in double precision: rounding alone


def measure_orders(
    family: Family, weights: Mapping[str, Tensor], images: Tensor, seeds: Sequence[int]
) -> dict[str, Any]:
    """Permute a network by every strategy and seed; its clique groups are traced, not declared.

    Args:
        family: Its base width is built.
        weights: Parameters by name, BatchNorm folded.
        images: Real inputs, on which every permuted network must give the same outputs.
        seeds: One run of every strategy each.

    Returns:
        JSON-ready: `tensors`, `parameters`; `runs`, each with strategy, seed, the total variation
        undivided and per tensor and the change of the outputs; `groups`, each with the lengths
        of its path by strategy and seed and the best lower bound (groups of blocks, whose paths
        depend on the orders inside the blocks, are permuted and not listed); `pinned`, the reasons
        why other axes stay.

    Raises:
        UserError: If a permuted network is another function.
    """
    network = load_parameters(family.build(family.base), weights)
    cliques = trace_cliques(network, images[:2])
    channels = [group for group in cliques.groups if group.level == "channel"]
    plan = [(strategy, seed) for strategy in STRATEGIES for seed in seeds]
    runs, found = [], {}
    for strategy, seed in progress(plan, "orders", "run"):
        arrangement, results = find_orders(
            weights, cliques.groups, strategy.solve(seed), objective=strategy.objective
        )
        permuted = arrangement.apply(weights)
        error = function_change(network, weights, permuted, images).relative
        assert_function_preserved(error, TOLERANCE)
        variation = total_variation(permuted)
        runs.append(
            {
                "strategy": strategy.name,
                "seed": seed,
                "variation": variation.sum,
                "variation_per_tensor": variation.per_tensor,
                "function_error": error,
            }
        )
        found[strategy, seed] = results
    return {
        "tensors": len(weights),
        "parameters": sum(value.numel() for value in weights.values()),
        "runs": runs,
        "groups": [
            _group_facts(group, [results[place] for results in found.values()], plan)
            for place, group in enumerate(channels)
        ],
        "pinned": sorted({pinned.reason for pinned in cliques.pinned}),
    }


def _group_facts(
    group: Group, results: Sequence[GroupResult], plan: Sequence[tuple[Strategy, int]]
) -> dict[str, Any]:
    lengths: dict[str, list[float]] = {}
    for result, (strategy, _) in zip(results, plan, strict=True):
        assert result.name == group.name
        lengths.setdefault(strategy.name, []).append(result.length_after)
    return {
        "name": group.name,
        "channels": len(group),
        "lower_bound": max(result.lower_bound for result in results),
        "lengths": lengths,
    }
