"""From what was found out about units to groups of those that can change places."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy import ndarray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from neumeta.tracing.cliques import Cliques, Pinned
from neumeta.tracing.groups import Group, Level, Member
from neumeta.tracing.labels import mix
from neumeta.tracing.tracker import Tracker


def grouped(
    tracker: Tracker,
    shapes: Mapping[str, tuple[int, ...]],
    starts: Mapping[tuple[str, int], int],
) -> Cliques:
    """Take tied units together, and those that were seen alike everywhere into groups.

    Args:
        tracker: Once all labels have passed.
        shapes: Of the tensors whose axes are asked for.
        starts: First unit of each of their axes.

    Returns:
        Every axis, in a group or pinned.
    """
    ledger, units = tracker.ledger, tracker.units
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
    places: dict[int, dict[tuple[str, int], list[int]]] = defaultdict(lambda: defaultdict(list))
    for key, start in starts.items():
        for place, found in enumerate(classes[start : start + shapes[key[0]][key[1]]].tolist()):
            places[found][key].append(place)
    alike: dict[int, list[int]] = defaultdict(list)
    for found in range(count):
        if found not in reasons and found in places:  # others are random numbers
            alike[int(marks[found])].append(found)
    summed = {found for ids in ledger.sums for found in np.unique(classes[ids]).tolist()}
    groups, members_of = [], set()
    for found in alike.values():
        if len(found) < 2:
            continue
        members_of.update(found)
        members = tuple(
            Member(*key, tuple(tuple(places[unit][key]) for unit in found))
            for key in places[found[0]]
        )
        stream = not summed.isdisjoint(found)
        groups.append(Group(name_of(members[0], tracker.level), members, tracker.level, stream))
    pinned: dict[tuple[str, int, str], int] = defaultdict(int)
    for unit, axes in places.items():
        if unit in members_of:
            continue
        reason = reasons.get(unit, "no other unit is like it")
        for (name, axis), own in axes.items():
            if shapes[name][axis] > 1:
                pinned[name, axis, reason] += len(own)
    return Cliques(
        tuple(groups),
        tuple(Pinned(name, axis, n, why) for (name, axis, why), n in pinned.items()),
        streams=_streams(classes, summed, shapes, starts),
    )


def _streams(
    classes: ndarray,
    summed: set[int],
    shapes: Mapping[str, tuple[int, ...]],
    starts: Mapping[tuple[str, int], int],
) -> tuple[Group, ...]:
    """Axes all of whose places are added up, those that agree place by place together."""
    alike: dict[tuple[int, ...], list[tuple[str, int]]] = defaultdict(list)
    for (name, axis), start in starts.items():
        own = tuple(classes[start : start + shapes[name][axis]].tolist())
        if len(own) > 1 and summed.issuperset(own):
            alike[own].append((name, axis))
    return tuple(
        Group.of_axes(f"stream {number}", axes, len(own))
        for number, (own, axes) in enumerate(alike.items(), 1)
    )


def name_of(first: Member, level: Level) -> str:
    """Say where units come first: the layer, and what of it if that is not all of its outputs.

    Args:
        first: The first axis that has the units.
        level: Of the group.

    Returns:
        The name of the group.
    """
    name = first.tensor.removesuffix(".weight")
    if first.axis:
        name += f" axis {first.axis}"
    if start := first.places[0][0]:
        name += f" from {start}"
    return name if level == "channel" else f"{name}, blocks"
