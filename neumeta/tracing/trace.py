"""Clique groups of any network: what must be permuted together, found by running it on labels.

The network is recorded once as a graph of elementary operations on an example input, and every
axis of every parameter and buffer goes through that graph as labels. Units that meet in a sum, a
product or a normalisation are tied; inputs and outputs are pinned. Units that were seen alike
everywhere can change places: they form a group.

Source: the cliques of Algorithm 1 (supplement, section 2), without a dependency graph that is
written for modules: structured pruning libraries follow modules and take channels for tied by
number, which is wrong where a shortcut pads channels on both sides, as in the CIFAR ResNets.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from neumeta.tracing.call import Call, Forward
from neumeta.tracing.cliques import Cliques, Pinned
from neumeta.tracing.disturb import Weights
from neumeta.tracing.grouping import grouped
from neumeta.tracing.groups import Member
from neumeta.tracing.labels import Bundle, Labels
from neumeta.tracing.record import Recording, record
from neumeta.tracing.refusals import check_traceable
from neumeta.tracing.rules import apply_rule
from neumeta.tracing.told import UNTOLD, untold, upstream
from neumeta.tracing.tracker import Tracker, shape_of
from neumeta.tracing.trial import Trial
from neumeta.tracing.verify import split_by_truth

_NOT_FREE = "its order is not free"
_SUMS = ("aten.add.Tensor", "aten.add_.Tensor", "aten.sub.Tensor", "aten.sub_.Tensor")


def trace_cliques(
    network: nn.Module, *examples: Any, forward: Forward | None = None, **keywords: Any
) -> Cliques:
    """Find the clique groups of a network.

    Args:
        network: In evaluation mode; it is copied, and not changed. Its weights do not decide;
            disturbed, they serve to see that a shuffle of all groups keeps the function.
        *examples: Arguments of its forward, such as a batch of two images; tensors, or whatever
            holds some. Random numbers that it draws for all places alike have no order: with
            groups permuted it is the same random function.
        forward: How it is called, if not by `network(*examples, **keywords)`: takes the network
            and the examples and returns what must stay.
        **keywords: Further arguments of its forward, by name.

    Returns:
        Every axis of every parameter and buffer that files hold and that has numbers with a
        fraction, in a group or pinned.

    Raises:
        UserError: If the network cannot be copied or run on the example, or asks for numbers on
            its way so that it cannot be recorded.
    """
    check_traceable(network)
    with torch.inference_mode(mode=False):
        call = Call.of(network, examples, keywords, forward)
        recording, call, outputs = record(call)
        found = _found(call, recording)

        def trial(weights: Weights) -> Trial:
            return Trial.of(call, outputs, even=recording.draws, weights=weights)

        verdict = split_by_truth(trial, found.groups)
    for place in recording.branches:
        warnings.warn(
            f"the network asks for a number at {place}: its groups hold where the answer is as on "
            "this example",
            stacklevel=2,
        )
    refused = [
        _refused(group.level, member, reason)
        for groups, reason in ((verdict.broken, _NOT_FREE), (verdict.untold, UNTOLD))
        for group in groups
        for member in group.members
    ]
    groups = tuple(map(call.tensors.under_all_names, verdict.kept))
    return Cliques(groups, (*found.pinned, *refused), recording.branches, found.streams)


def _found(call: Call, recording: Recording) -> Cliques:
    """Groups by the rules: of channels, then of blocks that hold other channels together."""
    tensors = call.tensors
    elsewhere = tensors.at(recording.seen_elsewhere)
    fixed = {
        **untold(recording, list(tensors.own)),
        **dict.fromkeys(elsewhere, "is also read as a tensor that no file holds"),
        **tensors.fixed,
    }
    tracker = Tracker("channel")
    channel = _follow(recording, call, fixed, tracker)
    block = _follow(recording, call, fixed, Tracker("block", frozenset(tracker.found_outer)))
    known = {group.members for group in channel.groups}
    blocks = tuple(
        group
        for group in block.groups
        if group.members not in known and any(len(m.places[0]) > 1 for m in group.members)
    )
    return Cliques((*channel.groups, *blocks), channel.pinned, streams=channel.streams)


def _refused(level: str, member: Member, reason: str) -> Pinned:
    """Say so of an axis; places are counted once, at the level of channels."""
    if level == "block":
        return Pinned(member.tensor, member.axis, 0, "the order of its blocks is not free")
    places = sum(map(len, member.places))
    return Pinned(member.tensor, member.axis, places, reason)


def _follow(
    recording: Recording, call: Call, fixed: Mapping[str, str], tracker: Tracker
) -> Cliques:
    graph, shapes, used = recording.graph, call.tensors.movable(), upstream(recording)
    starts: dict[tuple[str, int], int] = {}
    values: dict[Node, Any] = {}
    signals: set[Node] = set()  # what follows from the inputs
    names = iter(call.tensors.own)
    for number, node in enumerate(graph.graph.nodes):
        if node.op == "placeholder":
            shape, name = shape_of(node), next(names, None)
            bundles = []
            if name is not None and name in shapes:
                for axis, size in enumerate(shape):
                    starts[name, axis] = tracker.units
                    units = tracker.fresh(size)
                    if size > 1:
                        bundles.append(Bundle((axis,), units))
            labels = Labels(shape, tuple(bundles))
            if name is None:
                signals.add(node)
            if name is not None and name in fixed:
                labels = tracker.without(labels, range(len(shape)), fixed[name])
            values[node] = labels
        elif node.op == "get_attr":
            constant = getattr(graph, str(node.target))
            is_tensor = isinstance(constant, torch.Tensor)
            values[node] = Labels(tuple(constant.shape)) if is_tensor else None
        elif node.op == "call_function" and (node not in used or "val" not in node.meta):
            values[node] = None  # no tensor, or one that nothing is made of
        elif node.op == "call_function":
            tracker.node = number
            args = torch.fx.map_arg(node.args, values.__getitem__)
            kwargs = torch.fx.map_arg(node.kwargs, values.__getitem__)
            values[node] = apply_rule(tracker, node, args, kwargs)
            sources = signals.intersection(node.all_input_nodes)
            signals.update([node] if sources else [])
            if len(sources) > 1 and str(node.target) in _SUMS:
                tracker.ledger.add_up(values[node])
            for labels in values[node] if isinstance(values[node], list) else [values[node]]:
                if isinstance(labels, Labels):
                    tracker.ledger.seen(labels, number)
    for place, node in enumerate(recording.results):
        found = values.get(node) if isinstance(node, Node) else None
        if isinstance(found, Labels):
            is_output = place < recording.outputs
            reason = "is an output of the network" if is_output else "decides what is computed"
            tracker.without(found, range(len(found.shape)), reason)
    return grouped(tracker, shapes, starts)
