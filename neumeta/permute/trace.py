"""Clique groups of any network: what must be permuted together, found by running it on labels.

The network is recorded once as a graph of elementary operations on an example input (without
computing anything), and every axis of every parameter and buffer goes through that graph as
labels. Units that meet in a sum, a product or a normalisation are tied; inputs and outputs are
pinned. Units that were seen alike everywhere can change places: they form a group.

Source: the cliques of Algorithm 1 (supplement, section 2), without a dependency graph that is
written for modules: structured pruning libraries follow modules and take channels for tied by
number, which is wrong where a shortcut pads channels on both sides, as in the CIFAR ResNets.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from neumeta.core.errors import UserError
from neumeta.models.groups import Group, Level, Member
from neumeta.permute import rules_layers, rules_shape  # noqa: F401  (they fill the table)
from neumeta.permute.cliques import Cliques, Pinned
from neumeta.permute.labels import Bundle, Labels, mix
from neumeta.permute.tracker import Tracker, apply_rule
from neumeta.permute.verify import split_by_truth


def trace_cliques(network: nn.Module, *examples: Tensor) -> Cliques:
    """Find the clique groups of a network.

    Args:
        network: In evaluation mode. Its weights do not decide; disturbed, they serve to see that
            a shuffle of all groups keeps the function.
        *examples: Arguments of its forward, such as a batch of two images.

    Returns:
        Every axis of every floating-point parameter and buffer, in a group or pinned.

    Raises:
        UserError: If the network cannot be run on the example, or asks for numbers on its way.
    """
    if network.training:
        raise UserError(
            "clique groups are those of a network in evaluation mode; call eval() first"
        )
    state = {
        name: value.detach()
        for name, value in (*network.named_parameters(), *network.named_buffers())
    }
    graph = _record(network, state, examples)
    kept_in_files = network.state_dict().keys()  # other buffers cannot follow an order
    shapes = {
        name: tuple(value.shape)
        for name, value in state.items()
        if value.is_floating_point() and name in kept_in_files
    }
    tracker = Tracker("channel")
    channel = _follow(graph, state, shapes, tracker)
    block = _follow(graph, state, shapes, Tracker("block", frozenset(tracker.found_outer)))
    known = {group.members for group in channel.groups}
    blocks = tuple(
        group
        for group in block.groups
        if group.members not in known and any(len(m.places[0]) > 1 for m in group.members)
    )
    others = _other_names(network)
    groups = [_under_all_names(group, others) for group in (*channel.groups, *blocks)]
    kept, broken = split_by_truth(network, examples, groups)
    refused = (_refused(member, group.level) for group in broken for member in group.members)
    return Cliques(tuple(kept), (*channel.pinned, *refused))


def _record(
    network: nn.Module, state: Mapping[str, Tensor], examples: Sequence[Tensor]
) -> GraphModule:
    def run(tensors: dict[str, Tensor], *inputs: Tensor) -> Any:
        return functional_call(network, tensors, inputs)

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    fakes = {name: mode.from_tensor(value) for name, value in state.items()}
    inputs = [mode.from_tensor(value.detach()) for value in examples]
    try:
        with torch.no_grad():
            network(*examples)  # its own error, where the example does not fit, without torch's log
        with torch.no_grad(), mode:
            return make_fx(functionalize(run), tracing_mode="real")(fakes, *inputs)
    except Exception as error:  # whatever the network's own code raises
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"the network cannot be recorded on this example: {reason}") from error


def _refused(member: Member, level: Level) -> Pinned:
    """Say so of an axis; places are counted once, at the level of channels."""
    if level == "block":
        return Pinned(member.tensor, member.axis, 0, "the order of its blocks is not free")
    places = sum(map(len, member.places))
    return Pinned(member.tensor, member.axis, places, "its order is not free")


def _other_names(network: nn.Module) -> dict[str, list[str]]:
    """Further names of tensors that the network holds under several."""
    first: dict[int, str] = {}
    others: dict[str, list[str]] = defaultdict(list)
    for name, value in (
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    ):
        if first.setdefault(id(value), name) != name:
            others[first[id(value)]].append(name)
    return others


def _under_all_names(group: Group, others: Mapping[str, Sequence[str]]) -> Group:
    also = [
        replace(member, tensor=name) for member in group.members for name in others[member.tensor]
    ]
    return replace(group, members=(*group.members, *also))


def _follow(
    graph: GraphModule,
    state: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    tracker: Tracker,
) -> Cliques:
    starts: dict[tuple[str, int], int] = {}
    units = 0
    values: dict[Node, Any] = {}
    names = iter(state)
    for number, node in enumerate(graph.graph.nodes):
        if node.op == "placeholder":
            name = next(names, None)
            shape = tuple(node.meta["val"].shape)
            bundles = []
            if name is not None and name in shapes:
                for axis, size in enumerate(shape):
                    starts[name, axis] = units
                    if size > 1:
                        bundles.append(Bundle((axis,), np.arange(units, units + size)))
                    units += size
            values[node] = Labels(shape, tuple(bundles))
        elif node.op == "get_attr":
            values[node] = Labels(tuple(getattr(graph, str(node.target)).shape))
        elif node.op == "call_function":
            tracker.node = number
            args = torch.fx.map_arg(node.args, values.__getitem__)
            kwargs = torch.fx.map_arg(node.kwargs, values.__getitem__)
            values[node] = apply_rule(tracker, node, args, kwargs)
            for labels in values[node] if isinstance(values[node], list) else [values[node]]:
                if isinstance(labels, Labels):
                    tracker.ledger.seen(labels, number)
        elif node.op == "output":
            for source in node.all_input_nodes:
                labels = values[source]
                if isinstance(labels, Labels):
                    tracker.without(labels, range(len(labels.shape)), "is an output of the network")
    return _grouped(tracker, shapes, starts, units, tracker.level)


def _grouped(
    tracker: Tracker,
    shapes: Mapping[str, tuple[int, ...]],
    starts: Mapping[tuple[str, int], int],
    units: int,
    level: Level,
) -> Cliques:
    ledger = tracker.ledger
    ties = np.concatenate([np.empty((0, 2), dtype=int), *ledger.ties])
    links = coo_matrix((np.ones(len(ties)), (ties[:, 0], ties[:, 1])), shape=(units, units))
    count, classes = connected_components(links, directed=False)
    reasons: dict[int, str] = {}
    for ids, reason in ledger.pins:
        for found in np.unique(classes[ids]).tolist():
            reasons.setdefault(found, reason)
    marks = np.zeros(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for ids, values in ledger.marks_of(classes):
            np.add.at(marks, ids, values)
        for number, (key, start) in enumerate(starts.items()):
            size = shapes[key[0]][key[1]]
            np.add.at(marks, classes[start : start + size], mix(np.array([number + (1 << 52)])))
    alike: dict[int, list[int]] = defaultdict(list)
    for found in range(count):
        if found not in reasons:
            alike[int(marks[found])].append(found)
    places: dict[int, dict[tuple[str, int], list[int]]] = defaultdict(lambda: defaultdict(list))
    for key, start in starts.items():
        for place, found in enumerate(classes[start : start + shapes[key[0]][key[1]]].tolist()):
            places[found][key].append(place)
    groups, grouped = [], set()
    for found in alike.values():
        if len(found) < 2:
            continue
        grouped.update(found)
        members = tuple(
            Member(*key, tuple(tuple(places[unit][key]) for unit in found))
            for key in places[found[0]]
        )
        groups.append(Group(_name(members[0], level), members, level))
    pinned: dict[tuple[str, int, str], int] = defaultdict(int)
    for unit, axes in places.items():
        if unit in grouped:
            continue
        reason = reasons.get(unit, "no other unit is like it")
        for (name, axis), own in axes.items():
            if shapes[name][axis] > 1:
                pinned[name, axis, reason] += len(own)
    return Cliques(
        tuple(groups), tuple(Pinned(name, axis, n, why) for (name, axis, why), n in pinned.items())
    )


def _name(first: Member, level: Level) -> str:
    """Where the units come first: the layer, and what of it if that is not all of its outputs."""
    name = first.tensor.removesuffix(".weight")
    if first.axis:
        name += f" axis {first.axis}"
    if start := first.places[0][0]:
        name += f" from {start}"
    return name if level == "channel" else f"{name}, blocks"
