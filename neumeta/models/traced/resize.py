"""A network with other sizes: every tensor is indexed, and attributes of modules follow."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from neumeta.models.traced.attributes import follow_heads, follow_shapes
from neumeta.models.traced.places import Kept, axes_after
from neumeta.tracing.groups import Group


def resized(network: nn.Module, groups: Sequence[Group], kept: Kept) -> nn.Module:
    """Give groups of a network other sizes.

    Args:
        network: Any; not changed. On the meta device nothing is copied.
        groups: Those that change; they share no places.
        kept: See `axes_after`.

    Returns:
        An ordinary network of the same classes: its parameters and buffers have the new shapes,
        with the entries of the units that are kept, and attributes of its modules agree with them.
    """
    made = copy.deepcopy(network)
    shapes = {
        name: tuple(value.shape)
        for name, value in (
            *made.named_parameters(remove_duplicate=False),
            *made.named_buffers(remove_duplicate=False),
        )
    }
    indices = axes_after(groups, kept, shapes)
    by_tensor: dict[str, dict[int, Tensor]] = {}
    for (name, axis), index in indices.items():
        by_tensor.setdefault(name, {})[axis] = index
    made_of: dict[int, Tensor] = {}  # a tensor under two names stays one
    old: dict[str, tuple[int, ...]] = {}
    with torch.no_grad():
        for name, axes in by_tensor.items():
            owner, _, own_name = name.rpartition(".")
            module = made.get_submodule(owner)
            value = getattr(module, own_name)
            old[name] = tuple(value.shape)
            if id(value) not in made_of:
                made_of[id(value)] = _indexed(value, axes)
            _put(module, own_name, made_of[id(value)])
    follow_shapes(made, old)
    counts = {group.name: (len(group), len(kept[group.name])) for group in groups}
    follow_heads(made, groups, counts)
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
