"""How a network is called, on a copy of it: with other weights, and nothing left from a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from neumeta.core.errors import UserError
from neumeta.tracing.draws import same_draws
from neumeta.tracing.identity import Tensors
from neumeta.tracing.nested import (
    copied,
    copied_network,
    numbers_in,
    storage_of,
    tensors_in,
)

Forward = Callable[..., Any]


class _Called(nn.Module):
    """A network that is called by a function of somebody's."""

    def __init__(self, network: nn.Module, function: Forward) -> None:
        super().__init__()
        self.network, self.function = network, function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self.network, *args, **kwargs)


@dataclass(frozen=True)
class Call:
    """A network and the arguments of its call.

    Attributes:
        network: A copy, which nobody else has.
        tensors: Its parameters and buffers.
        function: Takes the network and the arguments; None calls the network with them.
        args: Arguments by place.
        kwargs: Arguments by name.
        inputs: The tensors among the arguments.
        storages: Of the parameters and buffers, the copied ones and those they are copied from.
        written: Names of parameters and buffers that a run writes to.
    """

    network: nn.Module
    tensors: Tensors
    function: Forward | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Tensor, ...]
    storages: Mapping[int, int]
    written: frozenset[str]

    @classmethod
    def of(
        cls,
        network: nn.Module,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        function: Forward | None = None,
    ) -> "Call":
        """Copy a network for its call.

        Args:
            network: Not changed, now or later.
            args: Arguments of its forward.
            kwargs: Likewise.
            function: See `Call`.

        Returns:
            The call.

        Raises:
            UserError: If there is something in the network or its arguments that has no copy.
        """
        try:
            copy = copied_network(network, shared=lambda tensor: False)
            places, names = copied((tuple(args), dict(kwargs)), lambda t: t.detach().clone())
        except Exception as error:  # whatever an object says that cannot be copied
            raise UserError(f"the network and its example cannot be copied: {error}") from error
        for parameter in copy.parameters():
            parameter.grad = None
        tensors, given = Tensors.of(copy), Tensors.of(network)
        # Copies have places of their own where those of the network share their memory.
        tensors = replace(tensors, fixed={**given.fixed, **tensors.fixed})
        storages = {
            place: mine
            for name, value in tensors.own.items()
            if (mine := storage_of(value)) is not None
            for place in (mine, storage_of(given.own[name]))
            if place is not None
        }
        return cls(
            copy,
            tensors,
            function,
            places,
            names,
            tuple(tensors_in((places, names))),
            storages,
            frozenset(tensors.own),
        )

    def fresh(self) -> nn.Module:
        """Copy the network for one run, which may write to its attributes.

        Returns:
            A copy that shares nothing with it but parameters and buffers.
        """
        return copied_network(self.network, lambda t: storage_of(t) in self.storages)

    def run(
        self, network: nn.Module, own: Mapping[str, Tensor], inputs: Sequence[Tensor]
    ) -> list[Tensor]:
        """Run the network with other tensors.

        Args:
            network: As `fresh` gives it.
            own: For each name of `tensors.own`; written to where the network does so.
            inputs: In the place of `inputs`; likewise.

        Returns:
            All tensors and numbers of what it returns.
        """
        given = {id(mine): other for mine, other in zip(self.inputs, inputs, strict=True)}
        args, kwargs = copied((self.args, self.kwargs), lambda tensor: given[id(tensor)])
        state = self.tensors.whole(own)
        if self.function is not None:
            network = _Called(network, self.function)
            state = {f"network.{name}": value for name, value in state.items()}
        return numbers_in(functional_call(network, state, args, kwargs))

    def outputs(self, own: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
        """Run a fresh copy of the network from one seed; nothing that is given is changed.

        Args:
            own: For each name of `tensors.own`.
            inputs: In the place of `inputs`.

        Returns:
            All tensors and numbers of what it returns.
        """
        state = {n: value.clone() if n in self.written else value for n, value in own.items()}
        network = self.fresh()
        with same_draws([value.device for value in own.values()]):
            return self.run(network, state, [value.clone() for value in inputs])

    def tried(self) -> tuple["Call", list[Tensor]]:
        """Run the network as it is, and see what it writes to.

        Returns:
            A call that knows it, and all tensors and numbers of what the network returns.
        """
        own = {name: value.clone() for name, value in self.tensors.own.items()}
        with torch.no_grad():
            outputs = replace(self, written=frozenset()).outputs(own, self.inputs)
        written = {n for n, value in own.items() if not torch.equal(value, self.tensors.own[n])}
        return replace(self, written=frozenset(written)), outputs
