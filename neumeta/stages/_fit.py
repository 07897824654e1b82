"""What the command `fit` does: the widest network within budgets, measured here."""

import argparse

from neumeta.core.errors import UserError
from neumeta.core.stage import deterministic
from neumeta.core.targets import check_targets
from neumeta.measure.budgets import BUDGETS, Budget
from neumeta.measure.latency import machine
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.models.export import output_of
from neumeta.stages._networks import opened


def fit(args: argparse.Namespace) -> None:
    """Find the widest network of a file within all budgets that are given.

    Args:
        args: The flags `checkpoint`, `params`, `macs`, `latency`, `out`, `build`.

    Raises:
        UserError: If no budget is given, or no network is within it.
    """
    deterministic()
    given = {kind: getattr(args, kind) for kind in BUDGETS if getattr(args, kind) is not None}
    if not given:
        raise UserError(f"name a budget: {', '.join(f'--{kind}' for kind in BUDGETS)}")
    budgets = [Budget.of(kind, text) for kind, text in given.items()]
    check_targets([args.checkpoint], [(path, output_of(path)) for path in args.out])
    source = opened(args.checkpoint, args.build)
    if not isinstance(source, MorphableNetwork):
        raise UserError(f"{args.checkpoint}: holds one network; there is nothing to choose")
    found = source.fit(**given)
    for budget in budgets:
        cost = budget.text(budget.cost(source, found))
        print(f"{budget.kind:8} {cost} of at most {budget.text(budget.most)}")
    (axis,) = source.family.axes
    share = found[axis.name] / axis.base
    print(f"{found}: {share:.3g} of the {axis.unit} of the base; on {machine(source.inr.device)}")
    for path in args.out:
        source.export(path, found)
        print(path)
