"""Random numbers that a network draws in its forward: the same in every run, or no part of it.

Every run starts from one seed, so that runs can be compared. Numbers that are drawn for each
place alike, as the mask of a dropout, follow any order of the places: the network stays the same
random function, though one seed gives it other numbers. For a comparison of outputs, such draws
are therefore held at one number for all places (`EvenDraws`). Numbers of a generator, or of a seed,
that the network brings itself are the same in every run: they are what they are at each place, and
a trial that moves places finds that out.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_FREE = frozenset(
    (
        *("rand", "rand_like", "randn", "randn_like", "uniform", "normal", "normal_functional"),
        *("exponential", "cauchy", "log_normal", "bernoulli", "geometric"),
    )
)
_AROUND = {
    "bernoulli": ("default", "Tensor"),
    "normal": ("Tensor_Tensor", "Tensor_float", "float_Tensor"),
    "poisson": ("default",),
    "native_dropout": ("default",),
}
SEED = 794_316_205  # of every run; a network that seeds anew takes another one
_GOLDEN = 0.618034  # multiples of it, less their whole part, are spread evenly between 0 and 1


@contextmanager
def same_draws(devices: Sequence[torch.device] = (), seed: int = SEED) -> Iterator[None]:
    """Seed torch, numpy and Python, and put their states back in the end.

    Args:
        devices: Whose generators are used, beside the CPU's.
        seed: Of all of them.

    Yields:
        Nothing.
    """
    ours, numpys = random.getstate(), np.random.get_state()
    cards = sorted({d.index or 0 for d in devices if d.type == "cuda"})
    with torch.random.fork_rng(devices=cards):
        torch.default_generator.manual_seed(seed)
        for card in cards:
            torch.cuda.default_generators[card].manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(ours)
            np.random.set_state(numpys)


def kind_of_draw(operation: Any) -> Literal["free", "around"] | None:
    """Tell operations that draw a number for each place alike.

    Args:
        operation: Of ATen.

    Returns:
        `free` if the numbers do not depend on those of a tensor, `around` if they do, place by
        place; None for all other operations.
    """
    name, _, overload = str(operation).removeprefix("aten.").partition(".")
    if not str(operation).startswith("aten."):
        return None
    if name.rstrip("_") in _AROUND and overload in _AROUND[name.rstrip("_")]:
        return "around"
    return "free" if name.rstrip("_") in _FREE else None


class EvenDraws(TorchDispatchMode):
    """While it is entered, a draw gives one number at all places, its own for every draw.

    Draws of a generator or a seed of the network's own stay as they are.

    Draws around a mean give the mean and as much of the spread everywhere; those of zeros and ones
    give their probability; a dropout keeps everything.
    """

    def __init__(self) -> None:
        """Start counting draws."""
        super().__init__()
        self._draws = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, or stand in for a draw.

        Args:
            func: The operation.
            types: Of its arguments.
            args: Its arguments.
            kwargs: Likewise.

        Returns:
            What the operation gives.
        """
        kwargs = kwargs or {}
        kind = kind_of_draw(func)
        if kind is None or kwargs.get("generator") is not None or _seeded_anew():
            return func(*args, **kwargs)
        self._draws += 1
        number = 0.3 + 0.4 * (self._draws * _GOLDEN % 1)
        if kind == "around":
            return _around(str(func).split(".")[1], args, kwargs, number)
        return func(*args, **kwargs).fill_(1.0 if "bernoulli" in str(func) else number)


def _seeded_anew() -> bool:
    return torch.default_generator.initial_seed() != SEED


def _around(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], number: float) -> Any:
    if name == "native_dropout":
        share = args[1] if args[2] is not False else 0.0
        return args[0] / (1 - share), torch.ones_like(args[0], dtype=torch.bool)
    if name == "bernoulli_":
        return args[0].copy_(args[1])
    if name == "normal":
        return args[0] + number * (args[1] if len(args) > 1 else kwargs.get("std", 1.0))
    return (args[1] if len(args) > 1 and isinstance(args[1], Tensor) else args[0]).clone()
