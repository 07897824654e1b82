"""A network with other sizes: every tensor is indexed, and attributes of modules follow."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from neumeta.models.traced.around import (
    follow_classifier,
    follow_heads,
    follow_splits,
    follow_streams,
)
from neumeta.models.traced.attention import free_heads
from neumeta.models.traced.attributes import follow_bare, follow_shapes
from neumeta.models.traced.bare import bare_shape
from neumeta.models.traced.places import Kept, axes_after
from neumeta.tracing.groups import Group
from neumeta.tracing.nested import copied_network


def resized(network: nn.Module, groups: Sequence[Group], kept: Kept) -> nn.Module:
    """Give groups of a network other sizes.

    Args:
        network: Any; not changed. On the meta device nothing is copied.
        groups: Those that change; they share no places.
        kept: See `axes_after`.

    Returns:
        An ordinary network of the same classes: its parameters and buffers have the new shapes,
        with the entries of the units that are kept, and attributes of its modules agree with them.
        An `nn.MultiheadAttention` whose heads no longer make up its width is a `ResizedAttention`.

    Raises:
        UserError: If a layer cannot have these sizes beside each other.
    """
    made = copied_network(network, shared=lambda tensor: False)
    whole = {
        **dict(made.named_parameters(remove_duplicate=False)),
        **dict(made.named_buffers(remove_duplicate=False)),
    }
    shapes = {name: tuple(value.shape) for name, value in whole.items()}
    bare = {member.tensor: member for group in groups for member in group.bare}
    for name in bare:
        shapes[name] = bare_shape(made, name)
    by_tensor: dict[str, dict[int, Tensor]] = {}
    for (name, axis), index in axes_after(groups, kept, shapes).items():
        by_tensor.setdefault(name, {})[axis] = index
    made_of: dict[int, Tensor] = {}  # a tensor under two names stays one
    with torch.no_grad():
        for name, axes in by_tensor.items():
            if name in bare:
                continue
            owner, _, own_name = name.rpartition(".")
            value = whole[name]
            if id(value) not in made_of:
                made_of[id(value)] = _indexed(value, axes)
            _put(made.get_submodule(owner), own_name, made_of[id(value)])
        old = {name: shapes[name] for name in by_tensor if name not in bare}
        follow_shapes(made, old, groups)
    for name in bare:
        shape = list(shapes[name])
        for axis, index in by_tensor[name].items():
            shape[axis] = len(index)
        follow_bare(made, name.rpartition(".")[0], tuple(shape))
    counts = {group.name: (len(group), len(kept[group.name])) for group in groups}
    follow_heads(made, groups, counts)
    follow_streams(made, groups, counts)
    follow_splits(made, old)
    follow_classifier(made, old)
    free_heads(made)
    return made


def _indexed(value: Tensor, axes: Mapping[int, Tensor]) -> Tensor:
    result = value.detach()
    for axis, index in axes.items():
        result = result.index_select(axis, index.to(result.device))
    result = result.contiguous()
    if isinstance(value, nn.Parameter):
        return nn.Parameter(result, requires_grad=value.requires_grad)
    return result


def _put(module: nn.Module, name: str, value: Tensor) -> None:
    """Replace a parameter or a buffer; whether files hold a buffer stays as it is."""
    if name in module._parameters:
        module._parameters[name] = value  # type: ignore[assignment]
    else:
        module._buffers[name] = value
