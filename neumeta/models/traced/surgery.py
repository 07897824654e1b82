"""Families of networks that somebody else builds: resized from the base, layer by layer."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from neumeta.core.errors import UserError
from neumeta.models.called import CalledNetwork
from neumeta.models.family import Family, width_axis
from neumeta.models.traced.family import Sizes, noise_for, trace_network, traced_once, with_groups
from neumeta.models.traced.norms import without_statistics
from neumeta.models.traced.plan import Plan, Scope, first_units
from neumeta.models.traced.resize import resized
from neumeta.tracing.groups import Group

Build = Callable[[], nn.Module]
_TRACED_SIDE = 64  # pixels


def traced_family(
    settings: Mapping[str, Any], input_spec: Mapping[str, Any], network: nn.Module | None = None
) -> Family:
    """The family of a network of any kind.

    Args:
        settings: The `family` section: `build` and `options` of the builder, `scope`, `streams`,
            `multiple`, `widths`, and the range of the width.
        input_spec: What the network takes.
        network: The base network, where a program holds it; its weights count for nothing.

    Returns:
        The family.

    Raises:
        UserError: If the network cannot be built, called or traced, or nothing in it can change.
    """
    from neumeta.models.traced.builder import builder  # a second that other families need not wait

    told = str(settings["build"])
    build = builder(told, settings.get("options")) if network is None else _copies(network)
    family = Family("traced", settings, input_spec, (width_axis(settings),))
    scope = _scope(settings)
    example = network.example if isinstance(network, CalledNetwork) else noise_for(family)

    def base() -> tuple[nn.Module, torch.Tensor]:
        made = _checked(without_statistics(build()), example, input_spec, told)
        return made, _small(made, example)

    found = traced_once(family, scope, base) if network is None else trace_network(*base(), scope)
    if not found.plan.groups:
        reasons = "; ".join(sorted({held.reason for held in found.plan.held}))
        raise UserError(f"{told}: no channels can change within its scope: {reasons}")
    surgery = Surgery(build, found.plan, lambda: base()[1])
    return with_groups(family, found, surgery.make, settings.get("widths"), surgery.outline)


class Surgery:
    """Resizes what a builder builds."""

    def __init__(self, build: Build, plan: Plan, example: Callable[[], torch.Tensor]) -> None:
        """Build nothing yet.

        Args:
            build: Returns a new network.
            plan: Groups of the network without statistics of BatchNorms.
            example: Makes a batch of two inputs.
        """
        self.build, self.plan, self.example = build, plan, example
        self.with_norms = cache(self._with_norms)
        self.blank = cache(self._blank)

    def make(self, sizes: Sizes, norm: bool) -> nn.Module:
        """Build a network with initial weights.

        Args:
            sizes: Units by name of the group; groups that are not named stay whole.
            norm: Whether BatchNorms stay as they are.

        Returns:
            The network.
        """
        network = self.build()
        if all(len(group) == sizes.get(group.name, len(group)) for group in self.plan.groups):
            return network if norm else without_statistics(network)
        groups: Sequence[Group] = self.plan.groups
        if norm:
            groups = self.with_norms()
        else:
            network = without_statistics(network)
        whole = {group.name: len(group) for group in groups}
        made = resized(network, groups, first_units({**whole, **sizes}, groups))
        _keep_variance(network, made)
        return made

    def outline(self, sizes: Sizes) -> nn.Module:
        """Build a network whose parameters have no numbers.

        Args:
            sizes: See `make`.

        Returns:
            The network without statistics of BatchNorms; its parameters are on the meta device,
            its buffers, which are no part of a family's weights, are not.
        """
        groups = self.plan.groups
        whole = {group.name: len(group) for group in groups}
        return resized(self.blank(), groups, first_units({**whole, **sizes}, groups))

    def _blank(self) -> nn.Module:
        network = without_statistics(self.build())
        done: dict[int, nn.Parameter] = {}
        for module in network.modules():
            for name, value in module._parameters.items():
                if value is not None:
                    empty = nn.Parameter(torch.empty_like(value, device="meta"))
                    module._parameters[name] = done.setdefault(id(value), empty)
        return network

    def _with_norms(self) -> tuple[Group, ...]:
        """The same groups, as the network with its BatchNorms has them."""
        scope = Scope(("*",), self.plan.scope.streams, self.plan.scope.multiple)
        found = trace_network(self.build().eval(), self.example(), scope).plan.groups
        by_name = {group.name: group for group in found}
        wanted = [group.name for group in self.plan.groups]
        if missing := [name for name in wanted if name not in by_name]:
            raise UserError(
                f"channels of {missing[0]!r} cannot change while BatchNorms are in the network"
            )
        return tuple(by_name[name] for name in wanted)


def _copies(network: nn.Module) -> Build:
    """Builds a network anew, as a copy; layers that know how begin from fresh weights."""

    def build() -> nn.Module:
        made = copy.deepcopy(network).cpu().float().eval()
        with torch.random.fork_rng(devices=[]):  # the program's own draws stay as they were
            for module in made.modules():
                reset = getattr(module, "reset_parameters", None)
                if callable(reset):
                    reset()
        return made.requires_grad_()

    return build


def _small(network: nn.Module, example: torch.Tensor) -> torch.Tensor:
    """Smaller images, where the network takes them as well: its channels are the same, sooner."""
    sides = example.shape[2:]
    if example.ndim != 4 or min(sides) <= _TRACED_SIDE or isinstance(network, CalledNetwork):
        return example
    smaller = example[:, :, :_TRACED_SIDE, :_TRACED_SIDE]
    try:
        with torch.no_grad():
            fits = network(smaller).shape == network(example).shape
    except Exception:  # whatever its code says of this size
        return example
    return smaller if fits else example


def _scope(settings: Mapping[str, Any]) -> Scope:
    named = settings.get("scope", "*")
    layers = (named,) if isinstance(named, str) else tuple(named)
    return Scope(layers, bool(settings.get("streams")), int(settings.get("multiple", 1)))


def _checked(
    network: nn.Module, example: torch.Tensor, input_spec: Mapping[str, Any], told: str
) -> nn.Module:
    """Refuse a network that does not answer for the classes of the data."""
    classes, shape = len(input_spec["classes"]), tuple(example.shape[1:])
    try:
        with torch.no_grad():
            outputs = network(example)
    except Exception as error:  # whatever its code says
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{told}: it cannot be called with images of {shape}: {reason}") from error
    found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    if found != (len(example), classes):
        raise UserError(
            f"{told}: for 2 images it returns {found}; must be (2, {classes}), one number for "
            "each class (many builders take num_classes among their options)"
        )
    return network


def _keep_variance(before: nn.Module, after: nn.Module) -> None:
    """Scale the weights of layers with fewer inputs, so that their outputs keep their size."""
    old = {name: value.shape for name, value in before.named_parameters()}
    with torch.no_grad():
        for name, value in after.named_parameters():
            if value.ndim > 1 and math.prod(value.shape[1:]) != math.prod(old[name][1:]):
                value.mul_(math.sqrt(math.prod(old[name][1:]) / math.prod(value.shape[1:])))
