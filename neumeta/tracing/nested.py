"""Values of any build: the tensors inside them, and copies of them with other tensors.

What networks take and give is nested in lists, dictionaries, dataclasses and objects of libraries.
"""

import copy
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neumeta.tracing.isolate import isolate_functions

_CLOSED = (type, ModuleType, FunctionType, MethodType, str, bytes, torch.dtype, torch.device)
_SHARED = (ModuleType, type(threading.Lock()), type(threading.RLock()))  # nothing to be copied


def tensors_in(value: Any) -> list[Tensor]:
    """Find the tensors of a value, each once, in a fixed order.

    Args:
        value: Anything; modules among it are searched too, with all their attributes.

    Returns:
        Tensors.
    """
    return [part for part in _parts(value, set()) if isinstance(part, Tensor)]


def numbers_in(value: Any) -> list[Tensor]:
    """Find what a network returned: its tensors, and numbers and arrays as tensors.

    Args:
        value: Anything; modules among it are no result.

    Returns:
        Tensors, in a fixed order.
    """
    kinds = (Tensor, np.ndarray, bool, int, float, complex, np.number, np.bool_)
    found = [part for part in _parts(value, set(), inside=nn.Module) if isinstance(part, kinds)]
    return [part if isinstance(part, Tensor) else torch.as_tensor(part) for part in found]


def copied(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Copy a value, with other tensors in the place of its own.

    Args:
        value: Anything that can be copied.
        change: From a tensor of it to the one that takes its place.

    Returns:
        The copy, which shares nothing with the value but what `change` hands on.
    """
    return copy.deepcopy(value, _memo(value, change))


def copied_network(network: nn.Module, shared: Callable[[Tensor], bool]) -> nn.Module:
    """Copy a network with all its attributes; tensors that lie in one storage still do.

    Args:
        network: Any.
        shared: Which tensors are to be those of the network, not copies.

    Returns:
        The copy.
    """
    storages: dict[int, torch.UntypedStorage] = {}
    plain = [t for t in tensors_in(network) if type(t) in (Tensor, nn.Parameter)]
    counts = Counter(storage_of(tensor) for tensor in plain)

    def change(tensor: Tensor) -> Tensor | None:
        if shared(tensor):
            return tensor
        place = storage_of(tensor)
        if place is None or counts[place] < 2:
            return (
                None if tensor.is_leaf else tensor.detach().clone()
            )  # deepcopy takes leaves alone
        if place not in storages:
            storages[place] = tensor.untyped_storage().clone()
        layout = (tensor.storage_offset(), tensor.shape, tensor.stride())
        made = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        made.set_(storages[place], *layout)
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(made, requires_grad=tensor.requires_grad)
        return made.requires_grad_(tensor.is_leaf and tensor.requires_grad)

    memo = _memo(network, change)
    clone = copy.deepcopy(network, memo)
    isolate_functions(clone, memo)
    assert isinstance(clone, nn.Module)
    return clone


def storage_of(tensor: Tensor) -> int | None:
    """Tell storages apart.

    Args:
        tensor: Any.

    Returns:
        The address of its storage; None where there is none to be shared.
    """
    try:
        return tensor.untyped_storage().data_ptr() or None
    except (NotImplementedError, RuntimeError):  # such as sparse tensors
        return None


def _memo(value: Any, change: Callable[[Tensor], Tensor | None]) -> dict[int, Any]:
    memo: dict[int, Any] = {}
    for part in _parts(value, set()):
        if isinstance(part, _SHARED):
            memo[id(part)] = part
        elif isinstance(part, Tensor) and (other := change(part)) is not None:
            memo[id(part)] = other
    return memo


def _parts(value: Any, seen: set[int], inside: type | None = None) -> Iterator[Any]:
    """All parts of a value, depth first; without those inside objects of one type."""
    if value is None or id(value) in seen:
        return
    if not isinstance(value, bool | int | float | complex):
        seen.add(id(value))
    yield value
    if isinstance(value, (Tensor, np.ndarray, *_CLOSED)) or (inside and isinstance(value, inside)):
        return
    for part in _children(value):
        yield from _parts(part, seen, inside)


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple):
        return list(value)
    slots = [
        getattr(value, name)
        for kind in type(value).__mro__
        for name in _names(getattr(kind, "__slots__", ()))
        if hasattr(value, name)
    ]
    return [*getattr(value, "__dict__", {}).values(), *slots]


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
