"""Whether groups hold: the network is run with all of them shuffled, and outputs compared.

The trace follows rules, and a rule can be wrong; what passes here was seen to keep the function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from neumeta.core.errors import UserError
from neumeta.tracing.arrangement import Arrangement
from neumeta.tracing.disturb import Weights
from neumeta.tracing.groups import Group
from neumeta.tracing.trial import Trial


@dataclass(frozen=True)
class Verdict:
    """What became of groups.

    Attributes:
        kept: Those that keep the function.
        broken: Those that do not.
        untold: Those of which the outputs on the example tell nothing.
    """

    kept: tuple[Group, ...]
    broken: tuple[Group, ...]
    untold: tuple[Group, ...]


def split_by_truth(make: Callable[[Weights], Trial], groups: Sequence[Group]) -> Verdict:
    """Shuffle groups and see whether the outputs change.

    All groups are shuffled at once; only if that fails are they halved until those at fault are
    alone. Where the outputs tell nothing of some groups, as those of a dead network, all are tried
    with other weights as well.

    Args:
        make: A trial of the network with such weights.
        groups: Channels first, then blocks.

    Returns:
        The groups, judged.
    """
    generator = torch.Generator().manual_seed(0)
    trials = [make("disturbed")]
    told = trials[0].tells(groups)
    if not all(told):
        try:
            trials.append(make("other"))
        except UserError:
            pass  # what is not told with its own weights stays so
        else:
            unsure = [group for group, is_told in zip(groups, told, strict=True) if not is_told]
            again = iter(trials[1].tells(unsure))
            told = [is_told or next(again) for is_told in told]
    kept: list[Group] = []
    broken: list[Group] = []

    def holds(some: Sequence[Group]) -> bool:
        orders = {group.name: _shuffle(len(group), generator) for group in some}
        arrangement = Arrangement.of_orders(some, orders, trials[0].state)
        return not any(trial.differs(arrangement.apply(trial.state)) for trial in trials)

    def sift(some: Sequence[Group]) -> None:
        if not some:
            return
        if holds([*kept, *some]):
            kept.extend(some)
        elif len(some) == 1:
            broken.extend(some)
        else:
            sift(some[: len(some) // 2])
            sift(some[len(some) // 2 :])

    sift([group for group, is_told in zip(groups, told, strict=True) if is_told])
    untold = [group for group, is_told in zip(groups, told, strict=True) if not is_told]
    return Verdict(tuple(kept), tuple(broken), tuple(untold))


def _shuffle(count: int, generator: torch.Generator) -> list[int]:
    """A random order, but never the given one."""
    order = torch.randperm(count, generator=generator)
    return (order.roll(1) if torch.equal(order, torch.arange(count)) else order).tolist()
