"""Twins of experiments: their own parameters with budgets cut to seconds.

The cuts go by the names of keys alone, so that an experiment of any method has a twin without a
line of code, and a twin takes every way through the code that its experiment takes.
"""

from collections.abc import Callable, Mapping
from typing import Any

# Steps between measured widths: three to seven widths of every range, the same in ranges that must
# lie within one another.
WIDTH_STEP = 8
_SMALL: dict[str, Callable[[Any], Any]] = {
    "steps": lambda value: min(value, 6),
    # Of steps of another kind: with its own share of a quarter a short run might see none of them.
    "share": lambda value: 0.5,
    "epochs": lambda value: 1,
    "batch_size": lambda value: min(value, 16),
    "batches": lambda value: 1,
    "views": lambda value: min(value, 2),
    "draws": lambda value: min(value, 2),
    "perturbations": lambda value: min(value, 2),
    "validate_every": lambda value: 2,
    "log_every": lambda value: 1,
    "save_every": lambda value: 2,
    "seeds": lambda value: value[:1],
    "random_seeds": lambda value: value[:1],
    # Images are few: each split needs some of every class.
    "val_fraction": lambda value: 0.25,
    "limit": lambda value: 48,
    "threads": lambda value: 1,  # as the other side, whose parameters may not know of it
}


def cut(value: Any, key: str = "") -> Any:
    """Cut the budgets of parameters.

    Args:
        value: A section of params.yaml, or what lies in it.
        key: Its name there; of a dotted name, as in changes of a section, the last part counts.

    Returns:
        The same with small numbers; sections, names and switches stay.
    """
    name = key.rpartition(".")[2]
    if value is None:
        return None
    if name in _SMALL:
        return _SMALL[name](value)
    if isinstance(value, Mapping):
        if {*value} == {"start", "stop", "step"}:
            return {**value, "step": WIDTH_STEP}
        return {inner: cut(part, str(inner)) for inner, part in value.items()}
    if name == "widths" and isinstance(value, list) and len(value) > 2:
        return [value[0], value[-1]]
    if isinstance(value, list):
        return [cut(part) for part in value]
    return value
