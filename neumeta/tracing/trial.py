"""Trial runs of a network with its weights disturbed, in the precision that it can be run in.

Outputs are compared place by place. A place counts as changed if it moves by more than a small
share of what it moves by when the weights are disturbed, and by more than rounding can explain;
so every output is judged by its own scale, however large others beside it are.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from neumeta.core.errors import UserError
from neumeta.tracing.call import Call
from neumeta.tracing.disturb import Weights, has_fractions, in_double, nudged, weights_for
from neumeta.tracing.draws import EvenDraws
from neumeta.tracing.groups import Group, Member

State = Mapping[str, Tensor]
_NOTHING = 8  # roundings of one
_NUDGE = 0.1  # relative; of weights whose part in the outputs is looked for


@dataclass(frozen=True)
class Trial:
    """A network on its example, with disturbed weights, and what counts as another result.

    Attributes:
        call: How the network is called.
        even: Whether random draws are held at one number for all places.
        state: Disturbed tensors by name.
        inputs: In the precision of the trial.
        outputs: With these.
        allowed: By how much each place of an output may move, shape of the output; None for
            outputs of whole numbers, which may not move at all.
    """

    call: Call
    even: bool
    state: State
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    allowed: tuple[Tensor | None, ...]

    @classmethod
    def of(
        cls, call: Call, plain: Sequence[Tensor], *, even: bool, weights: Weights = "disturbed"
    ) -> "Trial":
        """Disturb weights, so that layers that start at zero hide nothing, and run the network.

        Double precision comes first: there a true difference is far above rounding. A network that
        makes tensors of another precision on its way, or is no longer defined when disturbed, is
        run in its own precision, or with its own weights.

        Args:
            call: How the network is called.
            plain: Its outputs as it is.
            even: See `Trial`.
            weights: `disturbed`, or `other` ones of common sizes, with which no layer is dead.

        Returns:
            The trial.

        Raises:
            UserError: If it cannot be run in any of these ways, or its outputs are no numbers.
        """
        kinds: tuple[Weights, ...] = ("disturbed", "own") if weights == "disturbed" else (weights,)
        reason = ""
        for kind in kinds:
            for precise in (True, False):
                try:
                    return _trial(call, plain, even, kind, precise=precise)
                except UserError as error:
                    reason = str(error)
                except Exception as error:  # whatever the network says of these numbers
                    text = " ".join(str(error).split())[:300] or type(error).__name__
                    reason = f"the network cannot be tried with other weights: {text}"
        raise UserError(reason)

    def differs(self, state: State) -> bool:
        """Tell whether other weights are another function, as far as the outputs show.

        Args:
            state: By name, in the place of `state`.

        Returns:
            Whether any output moves by more than is allowed.
        """
        with torch.no_grad():
            after = _run(self.call, state, self.inputs, self.even)
        if len(after) != len(self.outputs):
            return True
        return any(map(_moved, self.outputs, after, self.allowed))

    def tells(self, groups: Sequence[Group]) -> list[bool]:
        """Find out of which groups the outputs tell anything on this example.

        Args:
            groups: Any.

        Returns:
            For each group whether outputs that are no whole numbers follow its tensors.
        """
        parts = self._parts()
        sums: dict[tuple[str, int], Tensor] = {}

        def shown(member: Member) -> bool:
            key = member.tensor, member.axis
            if member.tensor not in parts:
                return False
            if key not in sums:
                others = [d for d in range(parts[key[0]].ndim) if d != member.axis]
                squares = parts[key[0]].square()
                sums[key] = (squares.sum(dim=others) if others else squares).cpu()
            return float(sums[key][torch.tensor(member.places).flatten()].sum()) > 1

        return [
            any(map(shown, group.members)) or any(map(self._follows, group.members))
            for group in groups
        ]

    def _parts(self) -> dict[str, Tensor]:
        """What every weight adds to the outputs, in units of what is allowed there."""
        weights = {
            name: self.state[name].detach().requires_grad_()
            for name, _ in self.call.network.named_parameters(remove_duplicate=False)
            if name in self.state and has_fractions(self.state[name])
        }
        try:
            with torch.enable_grad():
                outputs = _run(self.call, {**self.state, **weights}, self.inputs, self.even)
                total = _summed(outputs, self.allowed)
            if not total.requires_grad:
                return {}
            found = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
        except Exception:  # operations without a derivative; the weights are tried one by one
            return {}
        pairs = zip(weights.items(), found, strict=True)
        return {name: (g * w).detach().abs() for (name, w), g in pairs if g is not None}

    def _follows(self, member: Member) -> bool:
        """Whether an output with fractions moves when the places of one axis do."""
        value = self.state[member.tensor]
        if not has_fractions(value):
            return False
        index = torch.tensor(member.places).flatten().to(value.device)
        generator = torch.Generator().manual_seed(2)
        part = value.index_select(member.axis, index)
        moved = nudged(part, _NUDGE, generator)
        other = {**self.state, member.tensor: value.index_copy(member.axis, index, moved)}
        with torch.no_grad():
            after = _run(self.call, other, self.inputs, self.even)
        gradual = [allowed for allowed in self.allowed if allowed is not None]
        pairs = zip(self.outputs, after, self.allowed, strict=True)
        return bool(gradual) and any(
            _moved(a, b, allowed) for a, b, allowed in pairs if allowed is not None
        )


def _trial(
    call: Call, plain: Sequence[Tensor], even: bool, weights: Weights, *, precise: bool
) -> Trial:
    generator = torch.Generator().manual_seed(0)
    state = weights_for(call, generator, weights, double=precise)
    inputs = tuple(in_double(value) if precise else value for value in call.inputs)
    seen = _Precisions()
    with torch.no_grad():
        with seen:
            outputs = _run(call, state, inputs, even)
        if any(bool(value.isnan().any()) for value in outputs):
            raise UserError("outputs of the network on this example are not all finite numbers")
        rounding = seen.coarsest()
        near = {name: nudged(value, rounding, generator) for name, value in state.items()}
        again = _run(call, near, inputs, even)
    if not len(outputs) == len(plain) == len(again):
        raise UserError("the network returns another number of outputs with other weights")
    places = zip(outputs, plain, again, strict=True)
    allowed = tuple(_allowed(*place, rounding) for place in places)
    return Trial(call, even, state, inputs, tuple(outputs), allowed)


class _Precisions(TorchDispatchMode):
    """Notes the precisions that a network computes in."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self._seen |= {
            value.dtype
            for value in tree_leaves(result)
            if isinstance(value, Tensor) and has_fractions(value)
        }
        return result

    def coarsest(self) -> float:
        """Relative rounding of the coarsest of them."""
        return max([torch.finfo(torch.double).eps, *(torch.finfo(d).eps for d in self._seen)])


def _summed(outputs: Sequence[Tensor], allowed: Sequence[Tensor | None]) -> Tensor:
    """All places of outputs in units of what is allowed there, with random signs."""
    generator = torch.Generator().manual_seed(1)
    total = torch.zeros((), dtype=torch.double)
    for value, limit in zip(outputs, allowed, strict=True):
        if limit is None or not value.requires_grad:
            continue
        usable = (limit > 0) & value.isfinite()
        parts = value[usable] / limit[usable]
        parts = torch.view_as_real(parts).flatten() if parts.is_complex() else parts
        signs = torch.randint(2, parts.shape, generator=generator) * 2 - 1
        total = total + (parts.cpu().double() * signs).sum() / max(parts.numel(), 1) ** 0.5
    return total


def _run(call: Call, state: State, inputs: Sequence[Tensor], even: bool) -> list[Tensor]:
    with ExitStack() as modes:
        if even:
            modes.enter_context(EvenDraws())
        return call.outputs(state, inputs)


def _allowed(value: Tensor, plain: Tensor, other: Tensor, rounding: float) -> Tensor | None:
    """A small share of how far each place moves when disturbed, but never less than rounding."""
    if not has_fractions(value):
        return None
    value, plain, other = (in_double(part.detach()) for part in (value, plain, other))
    if not value.numel():
        return torch.zeros_like(value.abs())
    moves = (value - plain).abs() if value.shape == plain.shape else value.abs()
    noise = (value - other).abs() if value.shape == other.shape else torch.zeros(())
    size = value.abs().nan_to_num(0.0, 0.0, 0.0)
    moves, noise = (part.nan_to_num(0.0, 0.0, 0.0) for part in (moves, noise))
    largest = float(size.max())
    if largest < _NOTHING * rounding:  # what is left where numbers of about one cancel
        largest = 1.0
    floor = rounding**-0.25 * max(float(noise.max()), rounding * largest)
    return (rounding**0.5 * moves).clamp_min(floor)


def _moved(before: Tensor, after: Tensor, allowed: Tensor | None) -> bool:
    if before.shape != after.shape:
        return True
    if allowed is None:
        return not torch.equal(before, after)
    before, after = in_double(before), in_double(after)
    same = (before == after) | ((before - after).abs() <= allowed)
    return not bool(same.all())
