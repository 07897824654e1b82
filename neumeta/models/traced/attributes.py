"""Attributes of modules that tell sizes: they follow from the shapes of the tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from neumeta.core.errors import UserError
from neumeta.models.traced.grouped import cuts_of
from neumeta.models.traced.places import layer_of
from neumeta.tracing.groups import Group

Shape = tuple[int, ...]
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
# Names under which the modules of transformers keep how many heads they have, and their width.
_HEADS = ("num_heads", "n_heads", "n_head", "heads", "nhead", "num_attention_heads", "nheads")
_INNER = (
    *("attn_dim", "attention_dim", "all_head_size", "inner_dim", "out_dim"),
    *("key_attn_dim", "val_attn_dim"),
)
_STREAM = ("hidden_dim", "embed_dim", "hidden_size", "d_model")
_WIDE = ("head_dim", "attention_head_size", "key_dim", "val_dim")


def follow_shapes(
    network: nn.Module, old: Mapping[str, Shape], groups: Sequence[Group] = ()
) -> None:
    """Set the attributes of all modules whose tensors have new shapes.

    Args:
        network: Changed in place.
        old: Shapes before, of the tensors that changed.
        groups: Those that changed.
    """
    cuts = [cut for group in groups for cut in cuts_of(network, group).items()]
    touched: dict[str, dict[str, Shape]] = {}
    for name, shape in old.items():
        owner, own = layer_of(name)
        touched.setdefault(owner, {})[own] = shape
    for owner, shapes in touched.items():
        module = network.get_submodule(owner)
        _compute_anew(module)
        if isinstance(module, _ConvNd):
            _conv(module, whole_groups=(owner, "whole") in cuts)
        for kinds, follow in _RULES:
            if isinstance(module, kinds):
                follow(module, shapes)
                break


def follow_bare(network: nn.Module, module: str, shape: Shape) -> None:
    """Set the attributes of a module that has no tensors.

    Args:
        network: Changed in place.
        module: Name of a normalisation without weights.
        shape: What that of its weight would be.
    """
    norm: Any = network.get_submodule(module)
    if isinstance(norm, nn.LayerNorm | nn.RMSNorm):
        norm.normalized_shape = shape
    elif isinstance(norm, nn.GroupNorm):
        _regroup(norm, shape[0])
    else:
        (norm.num_features,) = shape


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


def _is_int(values: Mapping[str, Any], name: str) -> bool:
    return type(values.get(name)) is int


def _compute_anew(module: nn.Module) -> None:
    """Let hooks of torch compute weights from what they are made of, as before every call."""
    for hook in module._forward_pre_hooks.values():
        if type(hook).__module__.startswith("torch.nn.utils."):
            hook(module, None)


def _conv(module: Any, *, whole_groups: bool) -> None:
    """The first axis of a weight holds all channels of one side, the second those of a group."""
    rows, columns = module.weight.shape[:2]
    if whole_groups:
        before = module.in_channels if module.transposed else module.out_channels
        module.groups = module.groups * rows // before
    sides = (rows, columns * module.groups)
    module.in_channels, module.out_channels = sides if module.transposed else sides[::-1]


def _linear(module: Any, old: Mapping[str, Shape]) -> None:
    module.out_features, module.in_features = module.weight.shape


def _bilinear(module: Any, old: Mapping[str, Shape]) -> None:
    module.out_features, module.in1_features, module.in2_features = module.weight.shape


def _norm(module: Any, old: Mapping[str, Shape]) -> None:
    (module.num_features,) = getattr(module, next(iter(old))).shape


def _layer_norm(module: Any, old: Mapping[str, Shape]) -> None:
    module.normalized_shape = tuple(module.weight.shape)


def _group_norm(module: Any, old: Mapping[str, Shape]) -> None:
    _regroup(module, len(module.weight))


def _regroup(module: Any, channels: int) -> None:
    if module.num_groups > 1:
        module.num_groups = max(1, module.num_groups * channels // module.num_channels)
    module.num_channels = channels


def _prelu(module: Any, old: Mapping[str, Shape]) -> None:
    (module.num_parameters,) = module.weight.shape


def _embedding(module: Any, old: Mapping[str, Shape]) -> None:
    module.num_embeddings, module.embedding_dim = module.weight.shape


def _recurrent(module: Any, old: Mapping[str, Shape]) -> None:
    sizes = {name: value.shape[0] for name, value in module.named_parameters() if "_hh_" in name}
    if len(set(sizes.values())) > 1:
        raise UserError(
            f"all layers and directions of an nn.{type(module).__name__} have one hidden size; "
            f"widths give {', '.join(f'{name} {size} rows' for name, size in sizes.items())}"
        )
    module.hidden_size = module.weight_hh_l0.shape[0] // _GATES[module.mode]
    module.input_size = module.weight_ih_l0.shape[1]
    if module.proj_size:
        module.proj_size = module.weight_hr_l0.shape[0]
    module._init_flat_weights()  # it keeps a list of its weights


def _cell(module: Any, old: Mapping[str, Shape]) -> None:
    module.hidden_size, module.input_size = module.weight_hh.shape[1], module.weight_ih.shape[1]


_RULES: tuple[tuple[type | tuple[type, ...], Callable[[Any, Mapping[str, Shape]], None]], ...] = (
    (nn.Linear, _linear),
    (nn.Bilinear, _bilinear),
    (_NormBase, _norm),
    ((nn.LayerNorm, nn.RMSNorm), _layer_norm),
    (nn.GroupNorm, _group_norm),
    (nn.PReLU, _prelu),
    ((nn.Embedding, nn.EmbeddingBag), _embedding),
    (nn.RNNBase, _recurrent),
    (nn.RNNCellBase, _cell),
)
