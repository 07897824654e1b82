"""Finding the weights in what a training script saved: the one mapping of tensors in it."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neumeta.core.checkpoint import MOST
from neumeta.core.errors import UserError
from neumeta.models.inert_pickle import Inert

METADATA = "_metadata"  # of torch: by module, the version of its names
# Put between a module and what it wraps, anywhere in a name.
_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
# What a whole network is an attribute of, in a parallel or Lightning module.
_OWNERS = ("module", "model", "net", "network")
# Counters that averaging and profilers leave beside weights, and that no layer reads.
_COUNTERS = frozenset({"n_averaged", "total_ops", "total_params"})
# Where tensors lie that are no network: settings, random states, optimisers.
_OTHERS = (
    *("optim", "sched", "lr_sched", "hyper_param", "hparam", "arg", "config", "cfg"),
    *("callback", "loop", "scaler", "amp", "rng", "random", "data"),
)
_SHOWN = 4  # names in an error
_DEEP = 8  # mappings within mappings; a pickle may hold itself

Place = tuple[str, ...]


def weights_in(value: Any, where: str) -> "OrderedDict[str, Tensor]":
    """Find the weights of a network, wherever they lie in a file.

    Args:
        value: What the file holds.
        where: Its name, for errors.

    Returns:
        Finite tensors by name, of float32 where they were of another precision, without prefixes
        of wrappers. Where the file says which version its names are of, so does the attribute
        `_metadata`, as in torch.

    Raises:
        UserError: If there is none, several that differ, or a tensor holds no plain numbers.
    """
    found = list(_mappings(value, ()))
    if any(_is_matrix(v) for _, own in found for v in own.values()):
        found = [(path, own) for path, own in found if any(map(_is_matrix, own.values()))]
    if not found:
        raise UserError(
            f"{where}: holds no state dict, but {_contents(value)}; "
            "expected names and tensors, as torch.save(network.state_dict(), FILE) writes them"
        )
    path, chosen = found[0]
    weights = _plain(chosen, where)
    for other, mapping in found[1:]:
        if not _equal(weights, _plain(mapping, where)):
            first, second = (".".join(names) or "the file itself" for names in (path, other))
            raise UserError(
                f"{where}: holds several sets of weights, {first} and {second}; save the one that "
                "is meant in a file of its own"
            )
    return weights


def _mappings(
    value: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """All mappings with tensors, but those of optimisers and settings, each with its place."""
    if isinstance(value, Inert):
        if own := value.tensors():
            yield path, own
        return
    if not isinstance(value, Mapping) or "param_groups" in value or len(path) > _DEEP:
        return
    tensors = {k: _tensor(v) for k, v in value.items() if isinstance(k, str)}
    own = _Named({k: v for k, v in tensors.items() if v is not None and not _is_counter(k)})
    if any(v.ndim for v in own.values()):
        own.metadata = _metadata(value)
        yield path, own
    for key, inner in value.items():
        if isinstance(key, str) and not key.lower().startswith(_OTHERS):
            yield from _mappings(inner, (*path, key))


class _Named(dict[str, Tensor]):
    """Tensors by name, with what torch says of the names."""

    metadata: Mapping[str, Mapping[str, Any]] | None = None


def _metadata(value: Any) -> Mapping[str, Mapping[str, Any]] | None:
    found = getattr(value, METADATA, None)
    if not isinstance(found, Mapping):
        return None
    return {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, Mapping)}


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        plain = np.array(value, dtype=value.dtype.newbyteorder("="))
        return torch.from_numpy(plain)
    return None


def _is_matrix(value: Tensor) -> bool:
    return value.ndim >= 2 and value.is_floating_point()


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] in _COUNTERS


def _plain(mapping: Mapping[str, Tensor], where: str) -> "OrderedDict[str, Tensor]":
    """Rename, cast and check what was found."""
    strip = _Stripper(mapping)
    weights: OrderedDict[str, Tensor] = OrderedDict()
    for name, value in mapping.items():
        if strip(name) in weights:
            raise UserError(f"{where}: two tensors are called {strip(name)!r} without wrappers")
        if name.endswith("num_batches_tracked") and value.is_floating_point():
            # Cast with all the rest; a half may have no room for it, and no function reads it.
            value = value.double().nan_to_num(0.0, 0.0, 0.0).round().to(torch.int64)
        weights[strip(name)] = _numbers(value, f"{where}: tensor {name!r}")
    if metadata := getattr(mapping, "metadata", None):
        # By names of modules: those of tensors without the last part. The owner's go.
        renamed = {strip(f"{module}.x")[:-2]: facts for module, facts in metadata.items()}
        setattr(weights, METADATA, OrderedDict(renamed))
    return weights


class _Stripper:
    """Takes wrappers out of names, and what all names begin with because of an owner."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.owners = 0
        bare = [self._bare(name) for name in names]
        while all(len(parts) > 1 and parts[0] in _OWNERS for parts in bare):
            bare = [parts[1:] for parts in bare]
            self.owners += 1

    @staticmethod
    def _bare(name: str) -> list[str]:
        return [part for part in name.split(".") if part not in _WRAPPERS]

    def __call__(self, name: str) -> str:
        return ".".join(self._bare(name)[self.owners :])


def _numbers(value: Tensor, where: str) -> Tensor:
    """Refuse what is no plain finite numbers; floating types become float32."""
    if value.layout != torch.strided or value.is_quantized or value.device.type == "meta":
        kind = "quantised" if value.is_quantized else str(value.layout).removeprefix("torch.")
        kind = "without values" if value.device.type == "meta" else kind
        raise UserError(f"{where} is {kind}; save the network with plain tensors")
    if not value.is_floating_point():
        return value
    single = value.float()
    if not torch.isfinite(single).all():
        raise UserError(f"{where} holds NaN or infinity; the file is damaged, or its training was")
    if not (single.abs() <= MOST).all():
        raise UserError(f"{where} holds a number above {MOST:g}; the file is damaged")
    return single


def _equal(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def _contents(value: Any) -> str:
    """Say in a few words what lies in a file instead."""
    if isinstance(value, Tensor):
        return "one tensor"
    if isinstance(value, Inert):
        return f"an object of class {getattr(value, 'named', '?')}"
    if not isinstance(value, Mapping):
        return f"a {type(value).__name__}"
    names = [repr(str(name)) for name in value]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}" if names else "an empty mapping"
