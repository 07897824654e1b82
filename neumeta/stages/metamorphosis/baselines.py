"""Stage baselines: measure everything the INR is compared with; resumable after each network."""

import sys
from collections.abc import Sequence

from neumeta.core.device import describe
from neumeta.core.fields import WidthRange
from neumeta.core.files import check_writable
from neumeta.core.jobs import kept_in, shared_by
from neumeta.core.reading import PARAMS_FILE, load_section, load_value, parse
from neumeta.core.recording import recorded
from neumeta.core.shard import asked_shard
from neumeta.core.side_by_side import side_by_side
from neumeta.core.stage import add_device_flag, compute_with, device_of, flags, stage_parser, staged
from neumeta.core.targets import record, table
from neumeta.data.dataset import read_dataset
from neumeta.measure.results import RESULT_COLUMNS, row_store, to_frame, write_results
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.baselines.run import Baselines
from neumeta.methods.metamorphosis.params.baselines import BaselineParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.network_file import read_network
from neumeta.models.parameters import moved
from neumeta.training.params import ExamplesParams


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": table(RESULT_COLUMNS), "--record": record("baselines")}
    compulsory = ("--experiment", "--dataset", "--permuted", *writes)
    parser = stage_parser("metamorphosis.baselines", *compulsory, shards=True, writes=writes)
    add_device_flag(parser)
    args = flags(argv, parser)

    def body() -> None:
        shard, device = asked_shard(args.shard), device_of(args)
        check_writable(args.record)
        section = f"{args.experiment}.train"
        params = load_section(BaselineParams, f"{args.experiment}.baselines")
        compute_with(params)
        trained = load_section(WidthRange, f"{section}.widths")
        seen = {key: load_value(f"{section}.{key}") for key in ("precision", "augmentation")}
        settings = parse(ExamplesParams, seen, PARAMS_FILE, section)
        base, family, _ = read_network(args.permuted)
        dataset = read_dataset(args.dataset, family.input_spec).to(device)
        points = tuple(at_width(family, width) for width in trained.values())
        comparison = Comparison(family, moved(base, device), dataset, settings, points)
        baselines = Baselines(comparison, params)
        shared = shared_by(
            "baselines",
            [*(part.model_dump(mode="json") for part in (trained, settings)), params.threads],
            {"dataset": args.dataset, "permuted": args.permuted},
            device,
        )
        store = row_store(kept_in(args.experiment, "baselines"), shared)
        if shard is None:
            side_by_side(store, baselines.jobs(), params.threads, device)
        rows = baselines.measure(store, shard)
        store.report(shard)
        if shard is not None:
            return
        jobs = baselines.jobs()
        earlier = store.seconds(jobs)
        with recorded(
            "baselines", args.record, [args.out], describe(device), earlier, {"baselines": params}
        ):
            write_results(args.out, to_frame(rows))
        store.forget_stale()
        store.forget_others(store.path(job.settings) for job in jobs)

    return staged("baselines", body, args.experiment)


if __name__ == "__main__":
    sys.exit(main())
