"""Stage data: turn one dataset into tensors with a fixed train/val/test split."""

import sys
from collections.abc import Sequence

from neumeta.core.files import write_json
from neumeta.core.reading import load_section
from neumeta.core.recording import recorded
from neumeta.core.stage import flags, stage_parser, staged
from neumeta.core.targets import checkpoint, json_of, record
from neumeta.data.dataset import SPLITS, dataset_card, write_dataset
from neumeta.data.params import DataParams
from neumeta.data.sources import load_dataset
from neumeta.tasks.registry import task_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": checkpoint("dataset"), "--card": json_of(kind="dataset")}
    writes["--record"] = record("data")
    args = flags(argv, stage_parser("data", "--dataset", *writes, writes=writes))

    def body() -> None:
        params = load_section(DataParams, f"data.{args.dataset}")
        with recorded("data", args.record, [args.out, args.card], params={args.dataset: params}):
            dataset = load_dataset(args.dataset, params)
            task_of(dataset)  # its targets are those of its task
            write_dataset(args.out, dataset)
            write_json(args.card, dataset_card(dataset))
            sizes = ", ".join(f"{split} {dataset.size(split)}" for split in SPLITS)
            print(f"{args.dataset}: {len(dataset.classes)} classes, {sizes}")

    return staged("data", body, args.dataset)


if __name__ == "__main__":
    sys.exit(main())
