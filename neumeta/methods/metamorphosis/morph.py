"""A trained INR as users hold it: one file in, an ordinary network of any width out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neumeta.core.boundary import called_by_users
from neumeta.core.device import CPU
from neumeta.core.errors import UserError
from neumeta.core.fields import (
    DEFAULT_DRAWS,
    MOST_DRAWS,
    MOST_NOISE,
    MOST_SEED,
    MOST_WIDTH,
    whole,
)
from neumeta.core.targets import check_targets, checkpoint
from neumeta.data.pixels import preprocessed
from neumeta.measure.budgets import BUDGETS, Budget, widest
from neumeta.methods.metamorphosis.generator import WeightGenerator, count_inr_params
from neumeta.methods.metamorphosis.inr_file import read_inr, write_inr
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.axes import Point
from neumeta.models.called import CalledNetwork
from neumeta.models.cost import count_macs, count_params
from neumeta.models.export import OnnxOptions, export_network
from neumeta.models.family import Family
from neumeta.models.parameters import load_parameters, moved
from neumeta.models.skeletons import Skeletons
from neumeta.models.source import Card
from neumeta.models.switching import require_member, switch

KEPT_NETWORKS = 8


@dataclass(frozen=True)
class MorphableNetwork:
    """A network family in one file.

    Example:
        >>> morph = neumeta.load("inr.safetensors")  # doctest: +SKIP
        >>> network = morph.sample(width=20)  # doctest: +SKIP
        >>> logits = network(morph.preprocess(images))  # doctest: +SKIP
        >>> morph.switch(network, width=12)  # doctest: +SKIP

    Attributes:
        family: What can be built.
        inr: The trained (averaged) INR.
        frozen: Tensors of the base network that are not generated, by name.
        header: The checkpoint's JSON header.
        draws: K, number of draws averaged where none is named.
        noise: Half range of the coordinate noise where none is named, channels; None takes that
            of the file.
    """

    family: Family
    inr: WeightGenerator
    frozen: Mapping[str, Tensor]
    header: Mapping[str, Any]
    draws: int = DEFAULT_DRAWS
    noise: float | None = None

    @cached_property
    def card(self) -> Card:
        """What the file is and what it was made of.

        Returns:
            Its card.
        """
        header = self.header
        tensors = [*self.inr.state_dict().values(), *self.frozen.values()]
        hashes = {role: header.get(f"{role}_sha256") for role in ("base", "data")}
        return Card(
            kind="inr",
            seed=int(header["seed"]),
            stored_bytes=sum(value.nbytes for value in tensors),
            parents={role: str(found) for role, found in hashes.items() if found},
            trained=tuple(at_width(self.family, width) for width in header["train_widths"]),
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
        """Make an ordinary network.

        Args:
            width: Base width h, channels; or its share of that of the base network, as a float
                such as 0.63; or the point of the network itself.
            at: Which network, where no width is given.
            draws: K, number of draws averaged; 1 gives the noise-free network. None takes the
                number of this object.
            noise: Half range of the coordinate noise, channels; None takes that of this object.
            generator: Source of the noise; None takes a fresh one of seed 0.

        Returns:
            The network with its weights, in evaluation mode. It takes normalised images; see
            `preprocess`.

        Raises:
            UserError: If the network is outside the family, or draws or noise are out of range.
        """
        point = self._point(width, at)
        network = self._made(point, draws=draws, noise=noise, generator=generator)
        return network.network if isinstance(network, CalledNetwork) else network

    def _made(self, point: Point, **drawn: Any) -> nn.Module:
        """The network as the family has it."""
        own = {name: value.clone() for name, value in self.frozen.items()}
        weights = {**self.weights(point, **drawn), **own}
        return load_parameters(self.family.skeleton(point), weights, assign=True).requires_grad_()

    @called_by_users
    def switch(
        self,
        network: nn.Module,
        width: int | float | Point | None = None,
        *,
        at: Point | None = None,
        draws: int | None = None,
        noise: float | None = None,
        generator: torch.Generator | None = None,
        keep: bool = False,
    ) -> None:
        """Turn a network that `sample` made into that of another width, in place.

        It is the same object afterwards, and so is every module in it: references and hooks stay
        valid, as do its mode, device and type. Its parameters are new ones, those of `sample`, so
        an optimiser of the old ones must be made anew.

        Args:
            network: What is changed.
            width: Base width h, channels, or its share as a float; or the network to become.
            at: Which network, where no width is given.
            draws: K, number of draws averaged; None takes the number of this object.
            noise: Half range of the coordinate noise, channels; None takes that of this object.
            generator: Source of the noise; None takes a fresh one of seed 0.
            keep: Remember the weights, up to those of `KEPT_NETWORKS` networks, the ones used
                last: to switch back to one of them makes none.

        Raises:
            UserError: If the network is of another family, the point is outside this one, draws
                or noise are out of range, or a generator is given for weights to keep.
        """
        point = self._point(width, at)
        like = self._skeletons.at(point)
        if isinstance(like, CalledNetwork) and isinstance(network, nn.Module):
            network = like.around(network)
        member = require_member(network, self.family, like)
        if not isinstance(keep, bool):
            raise UserError(f"keep is {keep!r}; must be true or false")
        if keep and generator is not None:
            raise UserError("weights of a generator are drawn anew each time; keep takes none")
        count, amount = self._draws_and_noise(draws, noise)
        if keep:
            weights = self._kept(point, count, amount)
        else:
            weights = self.weights(point, draws=count, noise=amount, generator=generator)
        switch(member, like, weights)

    @cached_property
    def _skeletons(self) -> Skeletons:
        return Skeletons(self.family)

    @cached_property
    def _kept(self) -> Callable[[Point, int, float], dict[str, Tensor]]:
        @lru_cache(maxsize=KEPT_NETWORKS)
        def made(at: Point, draws: int, noise: float) -> dict[str, Tensor]:
            return self.weights(at, draws=draws, noise=noise)

        return made

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
        """All parameters of one network; see `sample`.

        Args:
            width: Base width h, channels; or its share of that of the base network, as a float
                such as 0.63; or the point of the network itself.
            at: Which network, where no width is given.
            draws: K, number of draws averaged; None takes the number of this object.
            noise: Half range of the coordinate noise, channels; None takes that of this object.
            generator: Source of the noise; None takes a fresh one of seed 0.

        Returns:
            Tensors by name, without gradients.

        Raises:
            UserError: If the network is outside the family, or draws or noise are out of range.
        """
        point = self._point(width, at)
        count, amount = self._draws_and_noise(draws, noise)
        if not isinstance(generator, torch.Generator | None):
            raise UserError(f"generator is {generator!r}; must be a torch.Generator")
        source = generator or torch.Generator().manual_seed(0)
        with torch.no_grad():
            made = self.inr.weights(
                point,
                noise=amount if count > 1 else 0.0,
                draws=count if amount > 0 else 1,
                generator=source,
            )
        return {**self.frozen, **made}

    @called_by_users
    def fit(
        self,
        *,
        params: str | float | None = None,
        macs: str | float | None = None,
        latency: str | float | None = None,
    ) -> Point:
        """Find the widest network within all budgets that are given.

        Args:
            params: Parameters, a number or a text such as `150k`.
            macs: Multiply-accumulates of one input, likewise.
            latency: For one input, measured here: seconds, or a text such as `5ms`.

        Returns:
            The network, for `sample`.

        Raises:
            UserError: If no budget is given, or the smallest network costs more.
        """
        given = {"params": params, "macs": macs, "latency": latency}
        budgets = [Budget.of(kind, value) for kind in BUDGETS if (value := given[kind]) is not None]
        if not budgets:
            raise UserError(f"name a budget: {', '.join(BUDGETS)}")
        return min(widest(self, budget).at for budget in budgets)

    @called_by_users
    def export(
        self,
        path: str | Path,
        width: int | float | Point,
        *,
        draws: int | None = None,
        noise: float | None = None,
        seed: int = 0,
        opset: int | None = None,
        raw: bool = False,
    ) -> None:
        """Write the network of one width to a file.

        Args:
            path: Ends in .safetensors or .onnx.
            width: See `sample`.
            draws: Likewise.
            noise: Likewise.
            seed: Of the noise.
            opset: Of an ONNX file: version of the operators, 18 to 25; None takes torch's choice.
            raw: Of an ONNX file: whether it takes raw pixels, the normalisation lying inside.

        Raises:
            UserError: If the name or the width is none, something else lies there, or torch cannot
                export the network.
        """
        at = self._point(width, None)
        generator = torch.Generator().manual_seed(whole("seed", seed, 0, MOST_SEED))
        network = self._made(at, draws=draws, noise=noise, generator=generator)
        count, amount = self._draws_and_noise(draws, noise)
        origin = {
            "draws": count,
            "noise": amount,
            "seed": seed,
            "data_sha256": self.header["data_sha256"],
        }
        export_network(path, network, self.family, at, origin, OnnxOptions(opset, raw))

    @called_by_users
    def save(self, path: str | Path) -> None:
        """Write the file that holds all widths.

        Args:
            path: Ends in .safetensors; what lies there must be such a file, too.

        Raises:
            UserError: If something else lies there.
        """
        check_targets([], [(path, checkpoint("inr"))])
        described = ("kind", "inr", *self.family.header())
        facts = {key: value for key, value in self.header.items() if key not in described}
        write_inr(path, self.inr, self.frozen, facts)

    def _draws_and_noise(self, draws: object, noise: object) -> tuple[int, float]:
        count = self.draws if draws is None else draws
        wanted = self.noise if noise is None else noise
        amount = self.header["noise"] if wanted is None else wanted
        count = whole("draws", count, 1, MOST_DRAWS)
        if not isinstance(amount, int | float) or not 0 <= amount <= MOST_NOISE:
            raise UserError(f"noise is {amount!r}; must be a number of 0 to {MOST_NOISE} channels")
        return count, amount

    def _point(self, width: object, at: object) -> Point:
        if (width is None) == (at is None):
            raise UserError("name one network, by its width or by a point of the family")
        chosen = at if width is None else width
        if not isinstance(chosen, Point):
            if width is None:
                raise UserError(
                    f"at is {at!r}; must be a point of the family, as family.at(width=8)"
                )
            if isinstance(chosen, float):
                return self.family.at_share(chosen)
            return at_width(self.family, whole("width", chosen, 1, MOST_WIDTH))
        self.family.check(chosen)
        return chosen

    @called_by_users
    def preprocess(self, images: Tensor) -> Float[Tensor, "n c h w"]:
        """Normalise raw images as in training.

        Args:
            images: Pixels of 0 to the data set's largest value, shape (n, channels, height,
                width); any numeric type.

        Returns:
            Float32 of the same shape.

        Raises:
            UserError: If these are no such images: of another shape or range, or no numbers.
        """
        return preprocessed(images, self.header["input"])

    def info(self) -> dict[str, Any]:
        """Describe the file.

        Returns:
            JSON-ready: family, widths, data, sizes in parameters and multiply-accumulates.
        """
        settings, trained = self.family.settings, self.header["train_widths"]
        base = self.family.skeleton(self.family.base)
        return {
            "family": self.family.name,
            "dataset": self.header["input"]["dataset"],
            "classes": len(self.header["input"]["classes"]),
            "input_shape": list(self.header["input"]["image_shape"]),
            "base_width": self.family.base["width"],
            "trained_widths": f"{min(trained)}..{max(trained)}",
            "possible_widths": f"{settings['min_width']}..{settings['max_width']}",
            "generated_tensors": len(self.family.generated),
            "inr_params": count_inr_params(self.inr),
            "base_params": count_params(base),
            "base_macs": count_macs(base, self.family.example_input().to("meta")),
            "noise": self.header["noise"],
            "seed": self.header["seed"],
            "data_sha256": self.header["data_sha256"],
        }


def load(
    path: str | Path, device: torch.device = CPU, network: nn.Module | None = None
) -> MorphableNetwork:
    """Open a trained INR.

    Args:
        path: A checkpoint of kind `inr`, as the train stage writes it.
        device: Where its networks are made.
        network: See `family_from_header`.

    Returns:
        The morphable network.

    Raises:
        UserError: If the file is missing, damaged, or does not fit its own header.
    """
    family, inr, frozen, header = read_inr(path, network)
    return MorphableNetwork(family, inr.to(device), moved(frozen, device), header)
