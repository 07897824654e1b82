"""Turning a running network into another one of its family, in place."""

from collections.abc import Mapping

from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.family import Family
from neumeta.models.traced.attention import ResizedAttention

_PLAIN = (bool, int, float, str, tuple, list, type(None))


def require_member(network: object, family: Family, like: nn.Module) -> nn.Module:
    """Refuse what is no network of a family.

    Args:
        network: Anything.
        family: Whose it must be.
        like: A network of that family, any one; may be on meta.

    Returns:
        The network.

    Raises:
        UserError: Naming what is not as in that family: a module, a parameter or a fixed size.
    """
    made = f"switch takes a network that sample made of the {family.name} family"
    if not isinstance(network, nn.Module):
        raise UserError(f"network is {network!r}; {made}")
    have, want = ({n: type(m) for n, m in net.named_modules()} for net in (network, like))
    for name in sorted(have.keys() | want.keys()):
        if _kind(have.get(name)) is not _kind(want.get(name)):
            kinds = [
                kind.__name__ if kind else "missing" for kind in (have.get(name), want.get(name))
            ]
            where = f"module {name!r}" if name else "the network"
            raise UserError(f"{where} is {kinds[0]}, where the family has {kinds[1]}; {made}")
    shapes, base = ({n: p.shape for n, p in net.named_parameters()} for net in (network, like))
    if differing := sorted(shapes.keys() ^ base.keys()):
        raise UserError(f"parameter {differing[0]!r} is not in both; {made}")
    for name, shape in shapes.items():
        if len(shape) != len(base[name]):
            raise UserError(f"{name} has {len(shape)} axes, not {len(base[name])}; {made}")
        for axis in {*range(len(shape))} - {*family.morphing_axes.get(name, ())}:
            if (size := shape[axis]) != (fixed := base[name][axis]):
                raise UserError(f"{name} has size {size} along axis {axis}, not {fixed}; {made}")
    return network


def _kind(found: type | None) -> type | None:
    return nn.MultiheadAttention if found is ResizedAttention else found


def switch(network: nn.Module, like: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Turn a network into another one; its modules stay the same objects.

    Args:
        network: A member of the family; changed. Hooks, mode, device, types and which parameters
            want gradients stay; gradients themselves and hooks of parameters go.
        like: The other network, which may be on meta: its modules say their sizes.
        weights: All parameters of the other one, by name; copied, as are buffers of another size.
    """
    for name, module in network.named_modules():
        other = like.get_submodule(name)
        if isinstance(other, nn.MultiheadAttention) and isinstance(module, nn.MultiheadAttention):
            module.__class__ = type(other)  # which of the two it is depends on the width
            module._qkv_same_embed_dim = other._qkv_same_embed_dim
        for key, value in vars(other).items():
            if not key.startswith("_") and key != "training" and isinstance(value, _PLAIN):
                setattr(module, key, value)
        for key, old in list(module.named_parameters(recurse=False)):
            value = weights[f"{name}.{key}" if name else key]
            own = value.detach().to(old.device, old.dtype, copy=True)
            setattr(module, key, nn.Parameter(own, requires_grad=old.requires_grad))
        for key, old in list(module.named_buffers(recurse=False)):
            value = like.get_submodule(name).get_buffer(key)
            if value.shape != old.shape:
                module._buffers[key] = value.detach().to(old.device, old.dtype, copy=True)
