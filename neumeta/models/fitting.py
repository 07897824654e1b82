"""Putting weights of any origin into a network: by its own loader, and nothing left out in silence.

Modules that changed their names over the years rename old ones themselves when they load, by the
version that torch keeps beside the names; so does DenseNet's maker, by a pattern repeated here.
"""

import difflib
import re
import warnings
from collections import OrderedDict
from collections.abc import Collection, Mapping

from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.state_dicts import METADATA

# Files older than this counter of BatchNorm lack it; it has no part in the function.
_COUNTER = "num_batches_tracked"
# norm.1 for norm1, as in the files of DenseNet that torchvision publishes.
_DENSE = re.compile(
    r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))"
)


def put_weights(network: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Load weights strictly, by the network's own loader.

    Args:
        network: Changed in place.
        weights: By name, as `weights_in` finds them.
        where: Their origin, for errors.

    Raises:
        UserError: On the first tensor that is missing, extra, or of another shape or kind,
            naming what was found and what would fit.
    """
    state = OrderedDict((_DENSE.sub(r"\1\2", name), value) for name, value in weights.items())
    own = network.state_dict()
    metadata = getattr(weights, METADATA, None)
    if metadata is None and {n for n in own if not n.endswith(_COUNTER)} <= set(state):
        metadata = getattr(own, METADATA)  # all names are today's
    setattr(state, METADATA, metadata or OrderedDict())
    failure = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old versions, which are why it is used
            found = network.load_state_dict(state, strict=False)
        missing, extra = found.missing_keys, found.unexpected_keys
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        failure = error
        missing, extra = [*(own.keys() - state.keys())], [*(state.keys() - own.keys())]
    missing = sorted(name for name in missing if not name.endswith(_COUNTER))
    extra = sorted(name for name in extra if state[name].ndim or failure)  # scalars are no weights
    if missing:
        others = extra or list(state)
        raise UserError(
            f"{where}: tensor {missing[0]!r} is missing ({len(missing)} in all)"
            f"{_alike(missing[0], others, state)}; must be {_form(own.get(missing[0]))}"
        )
    if extra:
        raise UserError(
            f"{where}: unexpected tensor {extra[0]!r} of {_form(state[extra[0]])} ({len(extra)} in "
            f"all); allowed are {_some(own)}"
        )
    for name, wanted in network.state_dict().items():
        have = state.get(name, wanted)
        if have.shape != wanted.shape or have.is_floating_point() != wanted.is_floating_point():
            raise UserError(f"{where}: tensor {name!r} is {_form(have)}; must be {_form(wanted)}")
    if failure is not None:
        reason = " ".join(str(failure).split())
        raise UserError(f"{where}: its own loader refuses these weights: {reason}") from failure


def named_by_order(
    network: nn.Module, weights: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    """Name tensors after those of a network, one by one in their order.

    Args:
        network: Whose names.
        weights: As many tensors as it has, of the same shapes in the same order.
        where: Their origin, for errors.

    Returns:
        The tensors by the names of the network.

    Raises:
        UserError: At the first tensor that does not fit.
    """
    own = network.state_dict()
    for (name, wanted), (given, value) in zip(own.items(), weights.items(), strict=False):
        if wanted.shape != value.shape:
            raise UserError(
                f"{where}: by order, {given!r} of {tuple(value.shape)} comes to {name!r}, which is "
                f"of {tuple(wanted.shape)}"
            )
    if len(own) != len(weights):
        raise UserError(f"{where}: holds {len(weights)} tensors; must be {len(own)}, by order")
    return dict(zip(own, weights.values(), strict=True))


def _alike(name: str, others: Collection[str], state: Mapping[str, Tensor]) -> str:
    """Name what stands there instead."""
    near = difflib.get_close_matches(name, others, n=1, cutoff=0.0)
    return f"; the file has {near[0]!r} of {_form(state[near[0]])}" if near else ""


def _form(value: Tensor | None) -> str:
    return "another" if value is None else f"{tuple(value.shape)} {value.dtype}"


def _some(names: Mapping[str, Tensor], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more
