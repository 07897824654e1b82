"""Networks that are called by a function of somebody's: with dicts, keywords or several inputs."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from neumeta.core.boundary import called_by_users
from neumeta.core.errors import UserError

Call = Callable[[nn.Module, Any], Any]


class _Form:
    """How batches are put together; it never changes, so that copies of a network share it."""

    def __init__(self, spec: pytree.TreeSpec) -> None:
        self.spec = spec

    def __deepcopy__(self, memo: object) -> "_Form":
        return self


class CalledNetwork(nn.Module):
    """A network that takes one tensor, in which a whole batch is packed.

    Every tensor of a batch is laid flat, example by example, and all of them stand side by side;
    whole numbers up to 2^24 are kept, and others refused.

    Attributes:
        network: What is called.
        example: Two examples, packed.
    """

    def __init__(self, network: nn.Module, call: Call, example: Any) -> None:
        """Learn the form of batches.

        Args:
            network: Any.
            call: Takes the network and a batch, and returns its outputs.
            example: A batch: tensors with the examples first, in dicts, lists or tuples.

        Raises:
            UserError: If the batch holds no tensors, or tensors of different lengths.
        """
        super().__init__()
        self.network, self.call = network, call
        leaves, form = pytree.tree_flatten(example)
        self._check(leaves)
        self.form = _Form(form)
        self.shapes = [tuple(leaf.shape[1:]) for leaf in leaves]
        self.dtypes = [leaf.dtype for leaf in leaves]
        self.example = self.pack(example)[:2]

    def around(self, network: nn.Module) -> "CalledNetwork":
        """Call another network in the same way.

        Args:
            network: Shared, not copied.

        Returns:
            It, as one that takes packed batches.
        """
        made = copy.copy(self)
        made._modules = {"network": network}
        return made

    def pack(self, batch: Any) -> Tensor:
        """Lay a batch flat.

        Args:
            batch: Of the form of the example.

        Returns:
            Float32, shape (n, 1, 1, numbers of an example).

        Raises:
            UserError: If it has another form, or whole numbers that float32 does not hold.
        """
        leaves, form = pytree.tree_flatten(batch)
        self._check(leaves)
        if form != self.form.spec or [tuple(leaf.shape[1:]) for leaf in leaves] != self.shapes:
            raise UserError("a batch has another form than the first one")
        flat = [_exact(leaf.detach().cpu()).reshape(len(leaf), -1) for leaf in leaves]
        return torch.cat(flat, dim=1)[:, None, None]

    def forward(self, packed: Tensor) -> Any:
        """Call the network.

        Args:
            packed: What `pack` gives.

        Returns:
            What the function returns.
        """
        sizes = [math.prod(shape) for shape in self.shapes]
        leaves = [
            part.reshape(len(packed), *shape).to(dtype)
            for part, shape, dtype in zip(
                packed[:, 0, 0].split(sizes, dim=1), self.shapes, self.dtypes, strict=True
            )
        ]
        return self.call(self.network, pytree.tree_unflatten(leaves, self.form.spec))

    @staticmethod
    def _check(leaves: list[Any]) -> None:
        if not leaves or not all(isinstance(leaf, Tensor) and leaf.ndim for leaf in leaves):
            raise UserError("a batch must hold tensors alone, the examples along their first axis")
        if len({len(leaf) for leaf in leaves}) > 1:
            lengths = ", ".join(str(len(leaf)) for leaf in leaves)
            raise UserError(f"tensors of one batch hold {lengths} examples; must be as many each")


def _exact(leaf: Tensor) -> Tensor:
    numbers = leaf.float()
    if not leaf.is_floating_point() and not torch.equal(numbers.to(leaf.dtype), leaf):
        raise UserError("a batch holds whole numbers beyond 2^24; must be smaller to be packed")
    return numbers


@called_by_users
def called(network: nn.Module, call: Call, example: Any) -> CalledNetwork:
    """Let a network be called by a function.

    Args:
        network: Any; shared, not copied.
        call: Takes the network and a batch, and returns its outputs.
        example: A batch: tensors with the examples first, in dicts, lists or tuples.

    Returns:
        A network that takes packed batches, see `CalledNetwork.pack`.

    Raises:
        UserError: If the batch cannot be packed.
    """
    return CalledNetwork(network, call, example)
