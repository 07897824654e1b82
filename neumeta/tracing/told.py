"""Whether the outputs of a network tell the order of a parameter.

A trial of groups sees what the outputs show. Outputs of whole numbers, as the class of the largest
output, hide most changes; so an axis is free only if a way of gradual operations leads from it to
an output with a fraction.
"""

import torch
from torch.fx import Node

from neumeta.tracing.record import Recording

UNREAD = "no output depends on it"
UNTOLD = "the outputs do not tell its order"
_STEPS = frozenset(
    ("round", "floor", "ceil", "trunc", "sign", "heaviside", "floor_divide", "fix", "bucketize")
)


def untold(recording: Recording, names: list[str]) -> dict[str, str]:
    """Find tensors whose order no output tells.

    Args:
        recording: Of the network.
        names: Of the tensors of the network, in their order.

    Returns:
        Names, with the reason.
    """
    results = [node for node in recording.results[: recording.outputs] if isinstance(node, Node)]
    told = _upstream([node for node in results if _has_fractions(node)], gradual=True)
    read = upstream(recording)
    reasons = {}
    placeholders = recording.graph.graph.find_nodes(op="placeholder")
    for name, node in zip(names, placeholders, strict=False):
        if node not in told:
            reasons[name] = UNTOLD if node in read else UNREAD
    return reasons


def upstream(recording: Recording) -> set[Node]:
    """Find all that the results of a network are computed from.

    Args:
        recording: Of the network.

    Returns:
        Nodes, the results among them.
    """
    return _upstream([n for n in recording.results if isinstance(n, Node)], gradual=False)


def _upstream(nodes: list[Node], *, gradual: bool) -> set[Node]:
    """All that some nodes are computed from, or what they gradually follow."""
    found: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.add(node)
        if gradual and str(node.target).removeprefix("aten.").split(".")[0] in _STEPS:
            continue
        waiting += [n for n in node.all_input_nodes if not gradual or _has_fractions(n)]
    return found


def _has_fractions(node: Node) -> bool:
    """Whether what a node computes is no whole number; for several results, any of them."""
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    return any(
        isinstance(item, torch.Tensor) and (item.is_floating_point() or item.is_complex())
        for item in values
    )
