"""Stage train: train one INR per seed; resumable after any interruption."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from neumeta.core.device import describe
from neumeta.core.files import atomic_write_bytes, check_writable, sha256_of
from neumeta.core.jobs import kept_in, shared_by
from neumeta.core.processes import ProcessGroup, assembled
from neumeta.core.reading import load_section
from neumeta.core.recording import recorded
from neumeta.core.shard import asked_shard
from neumeta.core.side_by_side import side_by_side
from neumeta.core.stage import add_device_flag, compute_with, device_of, flags, stage_parser, staged
from neumeta.core.tables import write_table
from neumeta.core.targets import record, table
from neumeta.data.dataset import read_dataset
from neumeta.methods.metamorphosis.columns import HISTORY_COLUMNS
from neumeta.methods.metamorphosis.inr_file import inr_files, inr_folder, inr_name
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.methods.metamorphosis.seeds import Seeds, seed_store
from neumeta.models.network_file import read_network
from neumeta.models.parameters import moved


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": inr_folder(), "--history": table(HISTORY_COLUMNS)}
    writes["--record"] = record("train")
    compulsory = ("--experiment", "--dataset", "--permuted", *writes)
    parser = stage_parser("metamorphosis.train", *compulsory, shards=True, writes=writes)
    add_device_flag(parser)
    args = flags(argv, parser)

    def body() -> None:
        with assembled(device_of(args)) as processes:
            train(args, processes)

    return staged("train", body, args.experiment)


def train(args: argparse.Namespace, processes: ProcessGroup) -> None:
    """Train all seeds; only the leading process of a group writes files.

    Args:
        args: The flags of the stage.
        processes: The processes that share the work.
    """
    shard, device = asked_shard(args.shard), processes.device
    check_writable(args.record)
    params = load_section(TrainParams, f"{args.experiment}.train")
    compute_with(params)
    base, family, _ = read_network(args.permuted)
    dataset = read_dataset(args.dataset, family.input_spec).to(device)
    for width in (*params.widths.values(), *params.probe_widths):
        at_width(family, width)
    processes.check_batch(params.task.batch_size)
    shared = shared_by(
        "train",
        params.model_dump(mode="json", exclude={"seeds"}),
        {"dataset": args.dataset, "permuted": args.permuted},
        device,
    )
    store = seed_store(kept_in(args.experiment, "train"), shared)
    store.forget_stale()
    origin = {
        "noise": params.sample_noise,
        "train_widths": list(params.widths.values()),
        "data_sha256": dataset.content_sha256(),
        "base_sha256": sha256_of(args.permuted),
    }
    seeds = Seeds(family, moved(base, device), dataset, params, origin, store, processes)
    if shard is None:
        side_by_side(store, seeds.jobs(), params.threads, device)
    trained = store.run(seeds.jobs(), "INR", shard=shard, processes=processes)
    if not processes.leads:
        return
    store.report(shard)
    if shard is not None:
        return
    alone = [round(store.seconds([job]), 2) for job in seeds.jobs()]
    together = max(one.seconds_shared for one in trained)
    details = {"seconds_each": alone, "seconds_shared": round(together, 2)}
    earlier, asked, where = together + sum(alone), {"train": params}, describe(device)
    with recorded("train", args.record, [args.out, args.history], where, earlier, asked, details):
        names = {inr_name(seed): seeds.inr_path(seed) for seed in params.seeds}
        _publish(names, Path(args.out))
        write_table(args.history, HISTORY_COLUMNS, [row for one in trained for row in one.history])
    store.remove()


def _publish(files: Mapping[str, Path], out: Path) -> None:
    """Copy the finished INRs to the tracked folder; those of other seeds are of another run."""
    for name, source in files.items():
        atomic_write_bytes(out / name, source.read_bytes())
    for stale in set(inr_files(out)) - {out / name for name in files}:
        stale.unlink()


if __name__ == "__main__":
    sys.exit(main())
