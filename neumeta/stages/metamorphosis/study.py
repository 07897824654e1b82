"""Stage study: INRs trained from the orders of every strategy; resumable network by network."""

import sys
from collections.abc import Sequence

from neumeta.core.device import describe
from neumeta.core.errors import UserError
from neumeta.core.files import check_writable, write_json
from neumeta.core.jobs import kept_in, shared_by
from neumeta.core.reading import PARAMS_FILE, load_section
from neumeta.core.recording import recorded
from neumeta.core.shard import asked_shard
from neumeta.core.side_by_side import side_by_side
from neumeta.core.stage import add_device_flag, compute_with, device_of, flags, stage_parser, staged
from neumeta.core.targets import json_of, record
from neumeta.data.dataset import read_dataset
from neumeta.methods.metamorphosis.orders.inrs import OrderStudy, controls
from neumeta.methods.metamorphosis.params.study import StudyInrParams, study_params
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.methods.metamorphosis.variants import outcome_store
from neumeta.models.network_file import read_network


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": json_of("experiment", "rows"), "--record": record("study")}
    compulsory = ("--study", "--experiment", "--dataset", "--base", *writes)
    parser = stage_parser("metamorphosis.study", *compulsory, shards=True, writes=writes)
    add_device_flag(parser)
    args = flags(argv, parser)

    def body() -> None:
        shard, device = asked_shard(args.shard), device_of(args)
        check_writable(args.record)
        params = load_section(StudyInrParams, f"{args.study}.study")
        compute_with(params)
        train = load_section(TrainParams, f"{args.experiment}.train")
        sweep = load_section(SweepParams, f"{args.experiment}.sweep")
        where = f"{PARAMS_FILE}: {args.study}"
        if params.experiment != args.experiment:
            raise UserError(
                f"{where}.study.experiment: is {params.experiment!r}, but the list `studies` names "
                f"{args.experiment!r}; run `neumeta use {args.study}`"
            )
        base, family, _ = read_network(args.base)
        try:
            changed = study_params(train, params)
            for width in (*params.widths, *changed.widths.values(), *changed.probe_widths):
                at_width(family, width)
        except UserError as error:
            raise UserError(f"{where}.study: {error}") from error
        dataset = read_dataset(args.dataset, family.input_spec).to(device)
        files = {"dataset": args.dataset, "base": args.base}
        shared = shared_by("study", {"threads": params.threads}, files, device)
        store = outcome_store(kept_in(args.study, "study"), shared)
        inrs = OrderStudy(family, base, dataset, params, changed, sweep)
        if shard is not None:
            store.run(inrs.jobs(store), "INR", shard=shard)
            store.report(shard)
            return
        side_by_side(store, inrs.jobs(store), params.threads, device)
        rows = inrs.rows(store)
        store.report()
        earlier = store.seconds(inrs.jobs(store))
        with recorded(
            "study", args.record, [args.out], describe(device), earlier, {"study": params}
        ):
            report = {
                "experiment": args.experiment,
                "split": params.split,
                "examples": len(dataset.split(params.split)),
                "base_width": family.base["width"],
                "train": changed.model_dump(mode="json", exclude={"threads"}),
                "controls": controls(family, base, dataset, params.split),
                "rows": rows,
            }
            write_json(args.out, report)
        store.remove()

    return staged("study", body, args.study)


if __name__ == "__main__":
    sys.exit(main())
