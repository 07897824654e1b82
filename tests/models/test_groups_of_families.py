"""The groups of families: traced, and equal to what their tables would say."""

import time
from typing import Any

import pytest
import torch
from torch import nn

from neumeta.core.errors import UserError
from neumeta.models.family import Family
from neumeta.models.registry import make_family
from neumeta.models.traced import family as traced_families
from neumeta.tracing.groups import Group
from neumeta.tracing.trace import trace_cliques

SCOPES = ("last_block", "last_stage", "all_blocks")
CIFAR_STAGES, RESNET18_STAGES = (16, 32, 64), (64, 128, 256, 512)
LENETS = [
    pytest.param(head, channels, side, id=f"{head}-{channels}-{side}")
    for head in ("pooled", "corner")
    for channels, side in ((1, 8), (1, 28), (3, 32))
]
RESNETS = [
    *(("cifar_resnet", depth, scope) for depth in (20, 32, 44, 56) for scope in SCOPES),
    *(("resnet18", None, scope) for scope in SCOPES),
]


def spec(channels: int, side: int) -> dict[str, Any]:
    return {"image_shape": [channels, side, side], "classes": list("abcdefghij")}


def resnet(name: str, depth: int | None, scope: str) -> Family:
    full = 64 if name == "cifar_resnet" else 512
    settings = {"name": name, "scope": scope, "base_width": full, "min_width": 4, "max_width": full}
    return make_family(settings | ({"depth": depth} if depth else {}), spec(3, 32))


def declared_blocks(name: str, depth: int | None, scope: str) -> list[tuple[str, int]]:
    """Names and hidden widths of the blocks that morph, in the order of the network."""
    stages = CIFAR_STAGES if name == "cifar_resnet" else RESNET18_STAGES
    per_stage = 2 if depth is None else (depth - 2) // 6
    blocks = [
        (f"layer{stage + 1}.{block}", width)
        for stage, width in enumerate(stages)
        for block in range(per_stage)
    ]
    count = {"last_block": 1, "last_stage": per_stage, "all_blocks": len(blocks)}[scope]
    return blocks[-count:]


@pytest.mark.parametrize(("head", "channels", "side"), LENETS)
def test_groups_of_lenets_are_those_of_the_table(head: str, channels: int, side: int) -> None:
    settings = {"name": "lenet", "head": head, "base_width": 8, "min_width": 2, "max_width": 9}
    layers = ("conv1", "conv2", "conv3", "linear")
    assert make_family(settings, spec(channels, side)).groups == tuple(
        Group.of_axes(
            layer, ((f"{layer}.weight", 0), (f"{layer}.bias", 0), (f"{after}.weight", 1)), size
        )
        for layer, after, size in zip(layers[:-1], layers[1:], (8, 16, 32), strict=True)
    )


@pytest.mark.parametrize(("name", "depth", "scope"), RESNETS)
def test_groups_of_resnets_are_those_of_the_table(name: str, depth: int | None, scope: str) -> None:
    assert resnet(name, depth, scope).groups == tuple(
        Group.of_axes(
            f"{block}.conv1",
            (
                (f"{block}.conv1.weight", 0),
                (f"{block}.conv1.bias", 0),
                (f"{block}.conv2.weight", 1),
            ),
            width,
        )
        for block, width in declared_blocks(name, depth, scope)
    )


@pytest.mark.parametrize(
    ("name", "depth", "scope"), [case for case in RESNETS if case[1] in (None, 20)]
)
def test_axes_of_a_stream_hold_the_same_traced_channels(
    name: str, depth: int | None, scope: str
) -> None:
    """The trace says which channel lies at every place of an axis."""
    family = resnet(name, depth, scope)
    network = family.initialised(family.base, seed=0, norm=False)
    channel_at: dict[tuple[str, int], dict[int, tuple[str, int]]] = {}
    for group in trace_cliques(network, torch.randn(2, 3, 32, 32)).groups:
        for member in group.members:
            found = channel_at.setdefault((member.tensor, member.axis), {})
            found |= {p: (group.name, unit) for unit, (p,) in enumerate(member.places)}
    owners = []
    for stream in family.streams:
        first = channel_at[stream.axes[0]]
        assert sorted(first) == list(range(len(stream)))
        assert all(channel_at[axis] == first for axis in stream.axes)
        owners.append(first)
    assert all(owners.count(one) == 1 for one in owners)
    # Nothing else of the generated tensors is left than what morphs.
    axes = {axis for stream in family.streams for axis in stream.axes}
    axes |= {axis for group in family.groups for axis in group.axes}
    sizes = family.shapes(family.base)
    assert axes == {(n, axis) for n in family.generated for axis in range(min(2, len(sizes[n])))}


def test_a_family_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[nn.Module] = []

    def spy(network: nn.Module, *examples: torch.Tensor) -> Any:
        traced.append(network)
        return trace_cliques(network, *examples)

    monkeypatch.setattr(traced_families, "traced", spy)
    monkeypatch.setattr(traced_families, "_known", {})
    before = torch.random.get_rng_state()
    family = resnet("cifar_resnet", 20, "last_stage")
    ordered = family.with_stream_orders({"stream 3": list(range(64))})
    assert family.groups is ordered.groups
    assert resnet("cifar_resnet", 20, "last_stage").groups == family.groups
    assert len(traced) == 1
    resnet("cifar_resnet", 20, "last_block")
    assert len(traced) == 2
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_deep_network_is_traced_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds where nothing else runs, half of them to import the recording of torch."""
    monkeypatch.setattr(traced_families, "_known", {})
    start = time.process_time()
    assert len(resnet("cifar_resnet", 56, "all_blocks").groups) == 27
    assert time.process_time() - start < 20


def test_a_base_of_one_channel_is_refused() -> None:
    settings = {"name": "lenet", "head": "pooled", "base_width": 1, "min_width": 1, "max_width": 2}
    with pytest.raises(UserError, match="base_width is 1; one channel cannot morph"):
        make_family(settings, spec(1, 8))
