"""Stage ablate: train the INR again with a few parameters changed; resumable row by row."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

from neumeta.core.device import describe
from neumeta.core.errors import UserError
from neumeta.core.files import check_writable
from neumeta.core.jobs import kept_in, shared_by
from neumeta.core.reading import PARAMS_FILE, load_section
from neumeta.core.recording import recorded
from neumeta.core.shard import asked_shard
from neumeta.core.side_by_side import side_by_side
from neumeta.core.stage import add_device_flag, compute_with, device_of, flags, stage_parser, staged
from neumeta.core.tables import write_table
from neumeta.core.targets import record, table
from neumeta.data.dataset import read_dataset
from neumeta.methods.metamorphosis.ablation import Ablation, kept_inrs
from neumeta.methods.metamorphosis.columns import ABLATION_COLUMNS
from neumeta.methods.metamorphosis.params.ablate import AblateParams
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.methods.metamorphosis.variants import (
    Line,
    csv_rows,
    outcome_store,
    plan,
)
from neumeta.models.family import Family
from neumeta.models.network_file import read_network
from neumeta.models.parameters import moved

_log = logging.getLogger("neumeta")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": table(ABLATION_COLUMNS), "--record": record("ablate")}
    compulsory = ("--experiment", "--dataset", "--permuted", *writes)
    parser = stage_parser("metamorphosis.ablate", *compulsory, shards=True, writes=writes)
    parser.add_argument(
        "--table", help="measure one table alone, and keep it for the run without this flag"
    )
    add_device_flag(parser)
    args = flags(argv, parser)

    def body() -> None:
        shard, device = asked_shard(args.shard), device_of(args)
        check_writable(args.record)
        ablate = load_section(AblateParams, f"{args.experiment}.ablate")
        compute_with(ablate)
        asked = {"ablate": ablate}
        lines = _lines(ablate, args.experiment, args.table)
        if not lines:
            if shard is None:
                with recorded("ablate", args.record, [args.out], describe(device), params=asked):
                    write_table(args.out, ABLATION_COLUMNS, [])
            return
        base, family, _ = read_network(args.permuted)
        _check_widths(lines, family)
        dataset = read_dataset(args.dataset, family.input_spec).to(device)
        files = {"dataset": args.dataset, "permuted": args.permuted}
        shared = shared_by("ablate", {"threads": ablate.threads}, files, device)
        store = outcome_store(kept_in(args.experiment, "ablate"), shared)
        ablation = Ablation(family, moved(base, device), dataset)
        if shard is not None:
            ablation.measure_shard(lines, store, shard)
            store.report(shard)
            return
        side_by_side(store, ablation.jobs(lines, store), ablate.threads, device)
        rows = csv_rows(lines, ablation.measure(lines, store))
        store.report()
        if args.table is not None:
            _tell(lines, rows)
            return
        earlier = store.seconds(ablation.jobs(lines, store))
        with recorded("ablate", args.record, [args.out], describe(device), earlier, asked):
            write_table(args.out, ABLATION_COLUMNS, rows)
        store.forget_stale()
        store.forget_others(kept_inrs(lines, store), "*.safetensors")  # measurements are small

    return staged("ablate", body, args.experiment)


def _lines(ablate: AblateParams, experiment: str, table: str | None) -> list[Line]:
    """Read the parameters: all lines, or those of one table."""
    train = load_section(TrainParams, f"{experiment}.train")
    sweep = load_section(SweepParams, f"{experiment}.sweep")
    names = [entry.name for entry in ablate.tables]
    if table is not None and table not in names:
        raise UserError(f"--table {table!r}: no such table; allowed are {', '.join(names) or '-'}")
    try:
        lines = plan(ablate, train, sweep)
    except UserError as error:
        raise UserError(f"{PARAMS_FILE}: {experiment}.{error}") from error
    return [line for line in lines if table in (None, line.table)]


def _check_widths(lines: Sequence[Line], family: Family) -> None:
    """Refuse a width outside the family before any work is done."""
    for line in lines:
        train = line.variant.train
        for width in (*line.variant.widths, *train.widths.values(), *train.probe_widths):
            try:
                at_width(family, width)
            except UserError as error:
                where = f"ablate: table {line.table!r}, row {line.row!r}"
                raise UserError(f"{where}: {error}") from error


def _tell(lines: Sequence[Line], rows: Sequence[dict[str, Any]]) -> None:
    """Log one line for each row and seed."""
    for line in lines:
        own = [r for r in rows if (r["row"], r["seed"]) == (line.row, line.variant.seed)]
        scores = ", ".join(f"{float(r['accuracy']):.2%} at {r['width']}" for r in own)
        dead = " (collapsed)" if own[0]["collapsed"] == "true" else ""
        _log.info("%s, %s, seed %d: %s%s", line.table, line.row, line.variant.seed, scores, dead)


if __name__ == "__main__":
    sys.exit(main())
