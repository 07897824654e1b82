"""Shrinking a trained network to any width: no labels, no training, seconds.

For each group of channels: the order by backward elimination, the merge of what goes into what
stays, then every layer fitted anew, or BatchNorm statistics measured anew. Source: section "The
merge, before any training" of the measurements; the sequential fit is that of He et al. 2017
(Channel pruning for accelerating very deep neural networks), on all layers.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from neumeta.core.boundary import called_by_users
from neumeta.core.device import CPU, available, resolve
from neumeta.core.errors import UserError, one_line
from neumeta.models.shrink.batches import batches_of, first_of
from neumeta.models.shrink.calls import Call, Order, order_of
from neumeta.models.shrink.elimination import eliminated
from neumeta.models.shrink.magnitude import smallest_first
from neumeta.models.shrink.merge import Axis, lost_share, merge, reading_of, takes_mean
from neumeta.models.shrink.readers import Reader, Seen, find_readers, moments_of
from neumeta.models.shrink.refit import refit
from neumeta.models.shrink.statistics import renew_statistics
from neumeta.models.traced.places import axes_after
from neumeta.models.traced.plan import Plan, Scope, Widths, make_plan
from neumeta.models.traced.resize import resized
from neumeta.tracing.groups import Group

Method = Literal["merge", "l1"]
COUNT = 2000  # images
BATCH = 100


@dataclass(frozen=True)
class ShrunkGroup:
    """What became of a group.

    Attributes:
        name: Of the group.
        size: Units before.
        kept: Those that stayed, ascending.
        merged: Layers into which the units that went were merged; none where they are only left
            out, because nothing reads them that could make up for it, or by method l1.
        lost: Share of the variance of what the readers give that cannot be rebuilt, 0 to 1; None
            where nothing was rebuilt.
    """

    name: str
    size: int
    kept: tuple[int, ...]
    merged: tuple[str, ...]
    lost: float | None


@dataclass(frozen=True)
class Shrunk:
    """A smaller network, and how it came about.

    Attributes:
        network: An ordinary network, in evaluation mode.
        groups: What became of every group of the plan.
        refitted: Layers that were fitted anew.
    """

    network: nn.Module
    groups: tuple[ShrunkGroup, ...]
    refitted: tuple[str, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Units of every group.

        Returns:
            By name.
        """
        return {group.name: len(group.kept) for group in self.groups}


@called_by_users
def shrink(network: nn.Module, images: Any, widths: Widths, **settings: Any) -> Shrunk:
    """Give a trained network another width, without labels or training.

    Args:
        network: Any; not changed.
        images: Unlabelled, normalised as the network takes them: a tensor (n, channels, height,
            width), or a loader of batches or of tuples that begin with one.
        widths: Share of the channels of every group that stay, above 0 and at most 1; or shares by
            pattern of names, such as `{"layer3.*": 0.5}`.
        **settings: See `Shrinker.prepare`.

    Returns:
        The smaller network, and what became of its groups.

    Raises:
        UserError: If the network cannot be traced, nothing of it can be shrunk, there are no
            images, or a setting is none.
    """
    return Shrinker.prepare(network, images, **settings).at(widths)


@dataclass(frozen=True)
class Shrinker:
    """What does not depend on the width: groups, images, and what layers read.

    Attributes:
        base: A copy of the network, in evaluation mode.
        plan: Groups that change.
        batches: Images.
        call: How the network is called.
        order: Of its calls.
        readers: Layers that read units of groups.
        seen: What they read, by name.
        method: See `prepare`.
        refit: See `prepare`.
        statistics: See `prepare`.
        seed: Of what is drawn, the same for every width.
        home: Device of the network that was given.
    """

    base: nn.Module
    plan: Plan
    batches: Sequence[Any]
    call: Call
    order: Order
    readers: tuple[Reader, ...]
    seen: Mapping[str, Seen]
    method: Method
    refit: bool
    statistics: bool
    seed: int
    home: torch.device

    @classmethod
    @called_by_users
    def prepare(
        cls,
        network: nn.Module,
        images: Any,
        *,
        method: Method = "merge",
        refit: bool | None = None,
        statistics: bool = True,
        scope: Scope | None = None,
        plan: Plan | None = None,
        count: int = COUNT,
        batch_size: int = BATCH,
        augment: bool = True,
        call: Call | None = None,
        device: str | torch.device | None = None,
        seed: int = 0,
    ) -> "Shrinker":
        """Trace a network and look at what its layers read.

        Args:
            network: Any; not changed.
            images: See `shrink`.
            method: `merge`, or `l1`: filters of the largest sum of magnitudes stay, nothing is
                made up for; the control.
            refit: Whether layers are fitted anew, one after the other; if not given, with `merge`.
            statistics: Whether BatchNorm statistics are measured anew, relative to the network.
            scope: What shrinks; all inner channels, if not given.
            plan: The groups, where they are known already.
            count: Images at the most.
            batch_size: Images at once, where they come as one tensor.
            augment: Whether images are moved a little, and half of them mirrored.
            call: How the network is called with a batch, if not by `network(batch)`.
            device: Where to compute; that of the network, if not given.
            seed: Of what is drawn: images, their augmentation, their pixels.

        Returns:
            What gives networks of any width.

        Raises:
            UserError: See `shrink`.
        """
        _check(network, method, count, batch_size)
        home = next((p.device for p in network.parameters()), CPU)
        where = (
            resolve(device, available(), "device") if isinstance(device, str) else device or home
        )
        base = copy.deepcopy(network).eval().requires_grad_(False).to(where)
        generator = torch.Generator().manual_seed(seed)
        batches = batches_of(
            images,
            count,
            size=batch_size,
            device=where,
            augment=augment,
            pairs=call is None,
            generator=generator,
        )
        run: Call = call or (lambda net, batch: net(batch))
        example = first_of(batches[0], 2)
        with torch.no_grad():
            try:
                run(base, example)
            except Exception as error:  # whatever the code of a network says of its input
                raise UserError(
                    f"the network does not take these images: {one_line(error)}"
                ) from error
        plan = plan or make_plan(base, example, scope=scope, forward=call)
        if not plan.groups:
            raise UserError("the network has no group of channels that can shrink")
        order = order_of(base, example, run)
        readers: tuple[Reader, ...] = ()
        seen: dict[str, Seen] = {}
        if method == "merge":
            readers = find_readers(base, plan.groups, order.norms)
            with torch.no_grad():
                seen = moments_of(base, readers, batches, run, generator)
            readers = tuple(reader for reader in readers if reader.name in seen)
        wanted = method == "merge" if refit is None else refit
        return cls(
            base, plan, batches, run, order, readers, seen, method, wanted, statistics, seed, home
        )

    def at(self, widths: Widths) -> Shrunk:
        """Make a network of some width.

        Args:
            widths: See `shrink`.

        Returns:
            The network, and what became of its groups.

        Raises:
            UserError: If a width is none.
        """
        sizes = self.plan.sizes(widths)
        for group in self.plan.groups:
            if sizes[group.name] > len(group):
                raise UserError(f"width of {group.name!r} is above 1; a network can only shrink")
        groups = [self._chosen(group, sizes[group.name]) for group in self.plan.groups]
        kept = {group.name: list(group.kept) for group in groups}
        shapes = {name: tuple(value.shape) for name, value in _tensors(self.base)}
        indices = axes_after(self.plan.groups, kept, shapes)
        small = resized(self.base, self.plan.groups, kept)
        generator = torch.Generator().manual_seed(self.seed)
        refitted: tuple[str, ...] = ()
        with torch.no_grad():
            for reader in self.readers:
                norm = self.order.norms.get(reader.name)
                merge(small, self.base, reader, self.seen[reader.name], indices, norm)
            if self.refit:
                refitted = refit(
                    small,
                    self.base,
                    self.order,
                    indices,
                    self.batches,
                    self.call,
                    generator,
                    statistics=self.statistics,
                )
            if self.statistics:
                self._renew(small, indices, refitted)
        small.requires_grad_(True)
        return Shrunk(small.to(self.home), tuple(groups), refitted)

    def _chosen(self, group: Group, size: int) -> ShrunkGroup:
        readers = [reader for reader in self.readers if group.name in reader.places]
        lost = None
        if readers:
            readings = [self._reading(reader, group.name) for reader in readers]
            dropped = eliminated(readings, size)
            kept = sorted({*range(len(group))} - {*dropped})
            lost = lost_share(readings, kept)
        else:
            kept = sorted(smallest_first(self.base, group)[len(group) - size :])
        names = tuple(reader.name for reader in readers)
        return ShrunkGroup(group.name, len(group), tuple(kept), names, lost)

    def _reading(self, reader: Reader, group: str) -> Any:
        centred = takes_mean(self.base, reader.name, self.order.norms.get(reader.name))
        return reading_of(reader, self.seen[reader.name], group, centred=centred)

    def _renew(
        self, small: nn.Module, indices: Mapping[Axis, Tensor], refitted: Sequence[str]
    ) -> None:
        """Renew what can have changed: not before the first layer that did, nor after a fit."""
        spans, norms = self.order.spans, self.order.norms
        owners = {tensor.rpartition(".")[0] for tensor, _ in indices}
        first = min((spans[owner].start for owner in owners if owner in spans), default=0)
        earlier = {name for name, span in spans.items() if span.end < first}
        leave = frozenset(earlier | {norms[name] for name in refitted if name in norms})
        kept = {t.rpartition(".")[0]: i for (t, _), i in indices.items() if _is_mean(t)}
        renew_statistics(small, self.base, kept, self.batches, self.call, leave=leave)


def _is_mean(name: str) -> bool:
    return name.rpartition(".")[2] == "running_mean"


def _tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    ]


def _check(network: Any, method: Any, count: Any, batch_size: Any) -> None:
    if not isinstance(network, nn.Module):
        raise UserError(f"the network is a {type(network).__name__}; must be a torch.nn.Module")
    if method not in get_args(Method):
        raise UserError(f"method {method!r} is unknown; allowed are {', '.join(get_args(Method))}")
    for name, value in (("count", count), ("batch_size", batch_size)):
        if type(value) is not int or value < 1:
            raise UserError(f"{name} is {value!r}; must be a whole number, 1 or more")
