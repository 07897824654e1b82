"""One ordinary network out of a file, with what it needs to be used: a module and a source."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neumeta.core.boundary import called_by_users
from neumeta.core.device import CPU
from neumeta.core.errors import UserError
from neumeta.core.fields import MOST_WIDTH, whole
from neumeta.data.pixels import preprocessed
from neumeta.models.axes import Point
from neumeta.models.cost import count_macs, count_params
from neumeta.models.family import Family
from neumeta.models.network_file import read_network
from neumeta.models.parameters import load_parameters, moved, parameters_of
from neumeta.models.source import Card


class StoredNetwork(nn.Module):
    """A network of one point of a family, as `neumeta sample` writes it.

    Calling it runs the network. It answers as a `MorphableNetwork` does, too, where there is but
    one network to choose.

    Example:
        >>> network = neumeta.load("net20.safetensors")  # doctest: +SKIP
        >>> logits = network(network.preprocess(images))  # doctest: +SKIP
    """

    def __init__(
        self, family: Family, weights: Mapping[str, Tensor], header: Mapping[str, Any]
    ) -> None:
        """Put the weights into their network.

        Args:
            family: What it is one of.
            weights: All parameters by name.
            header: The checkpoint's JSON header.
        """
        super().__init__()
        self.family = family
        self.header = dict(header)
        self.at = family.at(**{axis.name: header[axis.name] for axis in family.axes})
        network = family.skeleton(self.at)
        self.network = load_parameters(network, weights, assign=True).requires_grad_()
        self.eval()

    @no_type_check  # torch.jit.script reads it, and knows plain types alone
    def forward(self, inputs: Tensor) -> Tensor:
        """Run the network.

        Args:
            inputs: Normalised images, see `preprocess`.

        Returns:
            What the network says, batch first.
        """
        return self.network(inputs)

    @cached_property
    def card(self) -> Card:
        """What the file is and what it was made of.

        Returns:
            Its card.
        """
        roles = {role: self.header.get(f"{role}_sha256") for role in ("inr", "data")}
        seed = self.header.get("seed")
        return Card(
            kind="network",
            seed=seed if isinstance(seed, int) else None,
            stored_bytes=sum(value.nbytes for value in self.network.parameters()),
            parents={role: str(found) for role, found in roles.items() if found},
            trained=(self.at,),
        )

    @called_by_users
    def sample(
        self,
        width: int | float | Point | None = None,
        *,
        at: Point | None = None,
        draws: int | None = None,
        noise: float | None = None,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """Take the network out.

        Args:
            width: Its own base width h, channels, or share of it, or point; may be left out.
            at: The same as a point.
            draws: None: it was drawn already.
            noise: Likewise.
            generator: Nothing is drawn.

        Returns:
            The ordinary network, in evaluation mode; it shares the weights.

        Raises:
            UserError: If another network is asked for, or other draws.
        """
        self._check(width, at, draws, noise)
        return self.network

    @called_by_users
    def weights(
        self,
        width: int | float | Point | None = None,
        *,
        at: Point | None = None,
        draws: int | None = None,
        noise: float | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """All parameters; see `sample`.

        Args:
            width: Its own base width h, channels, or share of it, or point; may be left out.
            at: The same as a point.
            draws: None: it was drawn already.
            noise: Likewise.
            generator: Nothing is drawn.

        Returns:
            Copies by name, without gradients.

        Raises:
            UserError: If another network is asked for, or other draws.
        """
        self._check(width, at, draws, noise)
        return parameters_of(self.network)

    def _check(self, width: object, at: object, *drawn: object) -> None:
        for asked in (width, at):
            wanted = self.at if asked is None else asked
            if isinstance(wanted, float):
                wanted = self.family.at_share(wanted)
            if not isinstance(wanted, Point):
                wanted = Point.of({"width": whole("width", wanted, 1, MOST_WIDTH)})
            if wanted != self.at:
                raise UserError(
                    f"the file holds one network, {self.at}, not {wanted}; take that from its INR"
                )
        if any(value is not None for value in drawn):
            raise UserError("the file holds one network, whose draws were made; leave them out")

    @called_by_users
    def preprocess(self, images: Tensor) -> Float[Tensor, "n c h w"]:
        """Normalise raw images as in training.

        Args:
            images: Pixels of 0 to the data set's largest value, shape (n, channels, height,
                width); any numeric type.

        Returns:
            Float32 of the same shape.

        Raises:
            UserError: If these are no such images.
        """
        return preprocessed(images, self.header["input"])

    def info(self) -> dict[str, Any]:
        """Describe the file.

        Returns:
            JSON-ready: its header, and sizes in parameters and multiply-accumulates.
        """
        skeleton = self.family.skeleton(self.at)
        return {
            **self.header,
            "params": count_params(skeleton),
            "macs": count_macs(skeleton, self.family.example_input().to("meta")),
        }


def load_network(
    path: str | Path, device: torch.device = CPU, network: nn.Module | None = None
) -> StoredNetwork:
    """Open a file of one network.

    Args:
        path: A checkpoint of kind `network`.
        device: Where it shall lie.
        network: See `family_from_header`.

    Returns:
        The network.

    Raises:
        UserError: If the file is missing, damaged, or does not fit its own header.
    """
    weights, family, header = read_network(path, network)
    return StoredNetwork(family, moved(weights, device), header)
