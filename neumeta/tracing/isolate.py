"""Functions that a network carries, as hooks or attributes, with what they write to copied.

A hook that fills a list, in its closure or of its module, would leave there what a recording puts
into it. Its copy fills a copy. What the code of a class writes outside its network is not held
back.
"""

import copy
from collections import deque
from functools import partial
from types import CellType, FunctionType
from typing import Any

from torch import nn

_FILLED = (dict, list, set, deque)


def isolate_functions(network: nn.Module, memo: dict[int, Any]) -> None:
    """Replace the functions of a copied network by copies.

    Args:
        network: The copy; its own functions are replaced.
        memo: Of its copying: copies by the identity of what they are copied from.
    """
    done: dict[int, Any] = {}
    for module in network.modules():
        attributes = vars(module)
        for name, value in list(attributes.items()):
            if isinstance(value, dict):
                for key, item in list(value.items()):
                    if (own := _isolated(item, memo, done)) is not item:
                        value[key] = own
            elif (own := _isolated(value, memo, done)) is not value:
                attributes[name] = own


def _isolated(value: Any, memo: dict[int, Any], done: dict[int, Any]) -> Any:
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, partial):
        own = _isolated(value.func, memo, done)
        return value if own is value.func else partial(own, *value.args, **value.keywords)
    if not isinstance(value, FunctionType):
        return value
    names = [
        name for name in value.__code__.co_names if isinstance(value.__globals__.get(name), _FILLED)
    ]
    if not (value.__closure__ or value.__defaults__ or value.__kwdefaults__ or names):
        return value
    space = value.__globals__
    if names:
        space = {**space, **{name: _copy(space[name], memo, done) for name in names}}
    cells = [CellType() for _ in value.__closure__ or ()]
    own = FunctionType(
        value.__code__, space, value.__name__, value.__defaults__, tuple(cells) or None
    )
    done[id(value)] = own
    own.__dict__.update(value.__dict__)
    own.__qualname__ = value.__qualname__
    own.__defaults__ = _copy(value.__defaults__, memo, done)
    own.__kwdefaults__ = _copy(value.__kwdefaults__, memo, done)
    for cell, given in zip(cells, value.__closure__ or (), strict=True):
        try:
            cell.cell_contents = _copy(given.cell_contents, memo, done)
        except ValueError:  # an empty cell
            continue
    return own


def _copy(value: Any, memo: dict[int, Any], done: dict[int, Any]) -> Any:
    if isinstance(value, FunctionType | partial):
        return _isolated(value, memo, done)
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # what has no copy, such as an open file, stays what it is
        return value
