"""Permuting a file of weights: smooth it, check that its function stays, tell what was gained."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from neumeta.core import targets
from neumeta.core.checkpoint import to_bytes
from neumeta.core.files import atomic_write_bytes, check_writable, sha256_of, write_json
from neumeta.models.architectures import build_for
from neumeta.models.weights_file import read_weights
from neumeta.permute.function import assert_function_preserved, function_change
from neumeta.permute.smooth import smooth
from neumeta.permute.solvers import Solver
from neumeta.permute.variation import total_variation
from neumeta.tracing import arrangement

KIND = "weights"
PERMUTED, ORDERS = targets.checkpoint(KIND), targets.checkpoint(arrangement.KIND)
REPORT = replace(targets.json_of("arch", "function_error"), suffix="")
TOLERANCE = 1e-4  # of the largest output


def permute_file(
    checkpoint: str | Path,
    architecture: str,
    out: str | Path,
    report: str | Path | None,
    *,
    solver: Solver = "best",
    seed: int = 0,
    fold: bool = False,
    orders: str | Path | None = None,
) -> dict[str, Any]:
    """Permute a file of weights; nothing is written if the function would change.

    Args:
        checkpoint: Safetensors, or a PyTorch state dict.
        architecture: See `neumeta.models.architectures`.
        out: Permuted weights, safetensors.
        report: What was gained, JSON; None writes none.
        solver: See `order_units`.
        seed: Of the solver.
        fold: Whether to fold BatchNorms first.
        orders: The arrangement, which can be inverted; None writes none.

    Returns:
        The content of the report.

    Raises:
        UserError: If the file cannot be read, does not fit the architecture, a target cannot be
            written, or the function would change.
    """
    outputs = [(out, PERMUTED), (report, REPORT), (orders, ORDERS)]
    targets.check_targets([checkpoint], outputs)
    for path, _ in outputs:
        if path is not None:
            check_writable(path)
    network, example = build_for(architecture, read_weights(checkpoint), str(checkpoint), fold=fold)
    found = smooth(network, example, solver=solver, seed=seed)
    before = network.state_dict()
    after = found.arrangement.apply(before)
    change = function_change(network, before, after, example)
    assert_function_preserved(change.relative, TOLERANCE)
    facts = {
        "checkpoint": str(checkpoint),
        "sha256": sha256_of(checkpoint),
        "arch": architecture,
        "folded": fold,
        "solver": solver,
        "seed": seed,
        "function_error": change.relative,
        **_variation_facts(network, before, after),
        "groups": [{**group.facts(), "order": list(group.order)} for group in found.groups],
        "pinned": [asdict(pinned) for pinned in found.pinned],
    }
    header = {"kind": KIND, **{key: facts[key] for key in ("arch", "folded", "sha256")}}
    atomic_write_bytes(out, to_bytes(after, header))
    if orders is not None:
        found.arrangement.save(orders)
    if report is not None:
        write_json(report, facts)
    return facts


def _variation_facts(
    network: nn.Module, before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Total variation of all parameters, before and after.

    Args:
        network: Says which tensors are parameters.
        before: By name.
        after: By name.

    Returns:
        The undivided sums and those divided by the number of tensors.
    """
    names = [name for name, _ in network.named_parameters()]
    first, second = (total_variation({n: state[n] for n in names}) for state in (before, after))
    return {
        "tensors": len(names),
        "tv_before": first.sum,
        "tv_after": second.sum,
        "tv_before_per_tensor": first.per_tensor,
        "tv_after_per_tensor": second.per_tensor,
    }
