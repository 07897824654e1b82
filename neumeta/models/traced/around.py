"""Attributes of the modules around layers: numbers of heads, widths of streams, sizes of splits."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from neumeta.models.traced.places import layer_of
from neumeta.tracing.groups import Group

Shape = tuple[int, ...]
# Names under which the modules of transformers keep how many heads they have, and their width.
_HEADS = ("num_heads", "n_heads", "n_head", "heads", "nhead", "num_attention_heads", "nheads")
_INNER = (
    *("attn_dim", "attention_dim", "all_head_size", "inner_dim", "out_dim"),
    *("key_attn_dim", "val_attn_dim"),
)
_STREAM = ("hidden_dim", "embed_dim", "hidden_size", "d_model")
_FEATURES = ("num_features", "head_hidden_size")
_WIDE = ("head_dim", "attention_head_size", "key_dim", "val_dim")


def follow_heads(
    network: nn.Module, groups: Sequence[Group], counts: Mapping[str, tuple[int, int]]
) -> None:
    """Set how many heads modules have, where whole heads were cut.

    Args:
        network: Changed in place.
        groups: Those that changed.
        counts: By name of the group, units before and after.
    """
    for group in (group for group in groups if group.level == "block"):
        before, after = counts[group.name]
        if _are_of_a_norm(network, group):
            continue
        wide = {len(member.places[0]) for member in group.members}
        owners = [member.tensor.rpartition(".")[0] for member in group.members]
        parents = [owner.rpartition(".")[0] for owner in owners]
        for path in dict.fromkeys((*owners, *parents)):
            module = network.get_submodule(path)
            values = vars(module)
            sizes = {*wide, *(values[name] for name in _WIDE if type(values.get(name)) is int)}
            changes = {name: (before, after) for name in _HEADS}
            for name in _INNER:
                if (size := values.get(name, 0) // before if _is_int(values, name) else 0) in sizes:
                    changes[name] = (before * size, after * size)
            for name, (whole, part) in changes.items():
                if _is_int(values, name) and values[name] == whole:
                    setattr(module, name, part)


def _are_of_a_norm(network: nn.Module, group: Group) -> bool:
    """Whether blocks are the groups of a normalisation, and so no heads."""
    layers = (network.get_submodule(layer_of(m.tensor)[0]) for m in group.members)
    return any(isinstance(layer, nn.GroupNorm) and layer.num_groups > 1 for layer in layers)


def follow_streams(
    network: nn.Module, groups: Sequence[Group], counts: Mapping[str, tuple[int, int]]
) -> None:
    """Set how wide a residual stream is, where modules around its layers keep that.

    Args:
        network: Changed in place.
        groups: Those that changed.
        counts: By name of the group, units before and after.
    """
    for group in (group for group in groups if group.stream and group.level == "channel"):
        before, after = counts[group.name]
        owners = {layer_of(member.tensor)[0].rpartition(".")[0] for member in group.members}
        around = {".".join(o.split(".")[:n]) for o in owners for n in range(o.count(".") + 2)}
        for path in sorted(around):
            module = network.get_submodule(path)
            for name in _STREAM:
                if _is_int(vars(module), name) and vars(module)[name] == before:
                    setattr(module, name, after)


def follow_splits(network: nn.Module, old: Mapping[str, Shape]) -> None:
    """Set the sizes that an input is split into, where each part goes through its own layer.

    Args:
        network: Changed in place.
        old: Shapes before, of the tensors that changed.
    """
    for path in {layer_of(name)[0].rpartition(".")[0] for name in old}:
        module = network.get_submodule(path)
        layers: dict[str, Any] = dict(module.named_children())
        if not layers or not all(isinstance(layer, _ConvNd) for layer in layers.values()):
            continue
        before, after = [], []
        for name, layer in layers.items():
            shape = old.get(f"{path}.{name}.weight".removeprefix("."), layer.weight.shape)
            depthwise = layer.groups == layer.in_channels
            before.append(shape[0 if depthwise else 1])
            after.append(layer.in_channels)
        for name, value in vars(module).items():
            if isinstance(value, list | tuple) and list(value) == before and len(before) > 1:
                setattr(module, name, type(value)(after))
        parent = network.get_submodule(path.rpartition(".")[0])  # of parts of one size
        if len(set(before)) == len(set(after)) == 1 and vars(parent).get("width") == before[0]:
            parent.width = after[0]


def follow_classifier(network: nn.Module, old: Mapping[str, Shape]) -> None:
    """Set how many features the last layer gets, where a network of timm keeps that.

    Args:
        network: Changed in place.
        old: Shapes before, of the tensors that changed.
    """
    find = getattr(network, "get_classifier", None)
    last = find() if callable(find) else None
    for path, layer in network.named_modules():
        shape = old.get(f"{path}.weight")
        if layer is last and isinstance(layer, nn.Linear) and shape is not None:
            for name in _FEATURES:
                if _is_int(vars(network), name) and vars(network)[name] == shape[1]:
                    setattr(network, name, layer.in_features)


def _is_int(values: Mapping[str, Any], name: str) -> bool:
    return type(values.get(name)) is int
