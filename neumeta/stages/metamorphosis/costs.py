"""Stage costs: parameters, multiply-accumulates and latency of every width of the sweep."""

import sys
from collections.abc import Sequence
from typing import Any

from neumeta.core.device import describe
from neumeta.core.errors import UserError
from neumeta.core.reading import load_section
from neumeta.core.recording import recorded
from neumeta.core.stage import add_device_flag, compute_with, device_of, flags, stage_parser, staged
from neumeta.core.tables import write_table
from neumeta.core.targets import record, table
from neumeta.measure.latency import machine
from neumeta.methods.metamorphosis.costs import COST_COLUMNS, costs_of
from neumeta.methods.metamorphosis.inr_file import inr_files
from neumeta.methods.metamorphosis.morph import load
from neumeta.methods.metamorphosis.params.train import SweepParams
from neumeta.methods.metamorphosis.points import at_width


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Times differ from run to run, so they are in its record and not in its table: a run that counts
    the same keeps the times that are there.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": table(COST_COLUMNS), "--record": record("costs")}
    parser = stage_parser("metamorphosis.costs", "--experiment", "--inr", *writes, writes=writes)
    add_device_flag(parser)
    args = flags(argv, parser)

    def body() -> None:
        device = device_of(args)
        params = load_section(SweepParams, f"{args.experiment}.sweep")
        compute_with(params)
        files = inr_files(args.inr)
        if not files:
            raise UserError(f"{args.inr}: holds no seed-N.safetensors; run the train stage")
        morph = load(files[0], device)
        details: dict[str, Any] = {"machine": machine(device), "latency": {}}
        asked = {"sweep": params}
        with recorded(
            "costs", args.record, [args.out], describe(device), params=asked, details=details
        ):
            points = [at_width(morph.family, width) for width in params.widths.values()]
            costs = costs_of(morph, points)
            details["latency"] |= {str(cost.width): cost.latency for cost in costs}
            write_table(args.out, COST_COLUMNS, [cost.row() for cost in costs])

    return staged("costs", body, args.experiment)


if __name__ == "__main__":
    sys.exit(main())
