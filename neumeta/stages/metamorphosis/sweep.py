"""Stage sweep: sample and score every width of every trained INR; resumable, also in shards."""

import sys
from collections.abc import Sequence

from neumeta.core.device import describe
from neumeta.core.errors import UserError
from neumeta.core.files import check_writable
from neumeta.core.jobs import kept_in, shared_by
from neumeta.core.reading import load_section
from neumeta.core.recording import recorded
from neumeta.core.shard import asked_shard
from neumeta.core.stage import add_device_flag, compute_with, device_of, flags, stage_parser, staged
from neumeta.core.targets import record, table
from neumeta.data.dataset import read_dataset
from neumeta.measure.results import RESULT_COLUMNS, row_store, to_frame, write_results
from neumeta.methods.metamorphosis.inr_file import inr_files
from neumeta.methods.metamorphosis.morph import load
from neumeta.methods.metamorphosis.params.train import SweepParams
from neumeta.methods.metamorphosis.sweep import Sweep


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": table(RESULT_COLUMNS), "--record": record("sweep")}
    compulsory = ("--experiment", "--dataset", "--inr", *writes)
    parser = stage_parser("metamorphosis.sweep", *compulsory, shards=True, writes=writes)
    add_device_flag(parser)
    args = flags(argv, parser)

    def body() -> None:
        shard, device = asked_shard(args.shard), device_of(args)
        check_writable(args.record)
        params = load_section(SweepParams, f"{args.experiment}.sweep")
        compute_with(params)
        files = inr_files(args.inr)
        if not files:
            raise UserError(f"{args.inr}: holds no seed-N.safetensors; run the train stage")
        morphs = [load(path, device) for path in files]
        dataset = read_dataset(args.dataset, morphs[0].family.input_spec).to(device)
        sweep = Sweep(morphs, dataset, params)
        shared = shared_by(
            "sweep",
            params.model_dump(mode="json"),
            {"dataset": args.dataset, **{path.name: path for path in files}},
            device,
        )
        store = row_store(kept_in(args.experiment, "sweep"), shared)
        store.forget_stale()
        if shard is not None:
            sweep.measure_shard(store, shard)
            store.report(shard)
            return
        rows = sweep.measure(store, args.experiment)
        store.report()
        earlier = store.seconds(sweep.jobs())
        with recorded(
            "sweep", args.record, [args.out], describe(device), earlier, {"sweep": params}
        ):
            write_results(args.out, to_frame(rows))
        store.remove()

    return staged("sweep", body, args.experiment)


if __name__ == "__main__":
    sys.exit(main())
