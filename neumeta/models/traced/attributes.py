"""Attributes of modules that tell sizes: they follow from the shapes of the tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from neumeta.tracing.groups import Group

Shape = tuple[int, ...]
# Names under which the modules of transformers keep how many heads they have, and their width.
_HEADS = ("num_heads", "n_heads", "n_head", "heads", "nhead", "num_attention_heads", "nheads")
_INNER = ("attn_dim", "all_head_size", "inner_dim", "out_dim")


def follow_shapes(network: nn.Module, old: Mapping[str, Shape]) -> None:
    """Set the attributes of all modules whose tensors have new shapes.

    Args:
        network: Changed in place.
        old: Shapes before, of the tensors that changed.
    """
    touched: dict[str, dict[str, Shape]] = {}
    for name, shape in old.items():
        owner, _, own = name.rpartition(".")
        touched.setdefault(owner, {})[own] = shape
    for owner, shapes in touched.items():
        module = network.get_submodule(owner)
        for kinds, follow in _RULES:
            if isinstance(module, kinds):
                follow(module, shapes)
                break


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
        wide = max(len(member.places[0]) for member in group.members)
        owners = [member.tensor.rpartition(".")[0] for member in group.members]
        parents = [owner.rpartition(".")[0] for owner in owners]
        for path in dict.fromkeys((*owners, *parents)):
            module = network.get_submodule(path)
            for names, size in ((_HEADS, 1), (_INNER, _head_size(module, wide))):
                for name in names:
                    if _is_whole(module, name, before * size):
                        setattr(module, name, after * size)


def _head_size(module: nn.Module, wide: int) -> int:
    size = getattr(module, "head_dim", wide)
    return size if isinstance(size, int) else wide


def _is_whole(module: nn.Module, name: str, value: int) -> bool:
    return type(vars(module).get(name)) is int and vars(module)[name] == value


def _conv(module: Any, old: Mapping[str, Shape]) -> None:
    weight, groups = module.weight.shape, module.groups
    rows, columns = (module.in_channels, module.out_channels)
    if not module.transposed:
        rows, columns = columns, rows
    # The first axis holds all channels of one side, the second those of one group of the other.
    if groups > 1 and weight[1] * groups == columns and weight[0] != rows:
        groups = max(1, groups * weight[0] // rows)
    rows, columns = weight[0], weight[1] * groups
    if not module.transposed:
        rows, columns = columns, rows
    module.in_channels, module.out_channels, module.groups = rows, columns, groups


def _linear(module: Any, old: Mapping[str, Shape]) -> None:
    module.out_features, module.in_features = module.weight.shape


def _bilinear(module: Any, old: Mapping[str, Shape]) -> None:
    module.out_features, module.in1_features, module.in2_features = module.weight.shape


def _norm(module: Any, old: Mapping[str, Shape]) -> None:
    (module.num_features,) = next(
        getattr(module, name).shape for name in old if name != "num_batches_tracked"
    )


def _layer_norm(module: Any, old: Mapping[str, Shape]) -> None:
    module.normalized_shape = tuple(module.weight.shape)


def _group_norm(module: Any, old: Mapping[str, Shape]) -> None:
    (channels,) = module.weight.shape
    if module.num_groups > 1:
        module.num_groups = max(1, module.num_groups * channels // module.num_channels)
    module.num_channels = channels


def _prelu(module: Any, old: Mapping[str, Shape]) -> None:
    (module.num_parameters,) = module.weight.shape


def _embedding(module: Any, old: Mapping[str, Shape]) -> None:
    module.num_embeddings, module.embedding_dim = module.weight.shape


def _recurrent(module: Any, old: Mapping[str, Shape]) -> None:
    module.hidden_size = module.weight_hh_l0.shape[1]
    module.input_size = module.weight_ih_l0.shape[1]
    module.flatten_parameters()


_RULES: tuple[tuple[type | tuple[type, ...], Callable[[Any, Mapping[str, Shape]], None]], ...] = (
    (_ConvNd, _conv),
    (nn.Linear, _linear),
    (nn.Bilinear, _bilinear),
    (_NormBase, _norm),
    ((nn.LayerNorm, nn.RMSNorm), _layer_norm),
    (nn.GroupNorm, _group_norm),
    (nn.PReLU, _prelu),
    ((nn.Embedding, nn.EmbeddingBag), _embedding),
    (nn.RNNBase, _recurrent),
)
