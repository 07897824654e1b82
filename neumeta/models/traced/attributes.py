"""Attributes of layers that tell sizes: they follow from the shapes of the tensors."""

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
