"""Stage fetch: get the base network as one strict checkpoint, BatchNorm folded."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

from neumeta.core.checkpoint import write_checkpoint
from neumeta.core.device import CPU, describe
from neumeta.core.errors import UserError
from neumeta.core.reading import PARAMS_FILE, load_section, load_value
from neumeta.core.recording import recorded
from neumeta.core.stage import add_device_flag, compute_with, device_of, flags, stage_parser, staged
from neumeta.core.tables import write_table
from neumeta.core.targets import checkpoint, record, table
from neumeta.data.dataset import read_dataset
from neumeta.measure.evaluator import validation_on
from neumeta.models.params import FamilyParams
from neumeta.models.registry import make_family
from neumeta.tasks.registry import task_of
from neumeta.training.base_network import fetch_base, train_base
from neumeta.training.curve import CURVE_COLUMNS
from neumeta.training.fit import EpochRecord
from neumeta.training.params import FetchParams


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": checkpoint("network"), "--history": table(CURVE_COLUMNS)}
    writes["--record"] = record("fetch")
    parser = stage_parser("fetch", "--experiment", "--dataset", *writes, writes=writes)
    add_device_flag(parser)
    args = flags(argv, parser)

    def body() -> None:
        device = device_of(args)
        params = load_section(FetchParams, f"{args.experiment}.fetch")
        compute_with(params)
        shape = load_section(FamilyParams, f"{args.experiment}.family")
        expected = load_value(f"{args.experiment}.dataset")
        asked = {"dataset": expected, "family": shape, "fetch": params}
        if params.source != "train":
            device = CPU  # the network is only read
        with recorded(
            "fetch", args.record, [args.out, args.history], describe(device), params=asked
        ):
            dataset = read_dataset(args.dataset).to(device)
            if dataset.name != expected:
                raise UserError(
                    f"{PARAMS_FILE}: {args.experiment}.dataset is {expected!r}, but {args.dataset} "
                    f"holds {dataset.name!r}"
                )
            family = make_family(shape.settings(), dataset.input_spec())
            curve: list[EpochRecord] = []
            if params.source == "train":
                validate = validation_on(dataset.split("val"), task_of(dataset))
                weights, curve = train_base(family, dataset, params, validate)
            else:
                weights = fetch_base(family, params)
            header = {
                "kind": "network",
                **family.base.values(),
                "permuted": False,
                "origin": params.model_dump(exclude_none=True, exclude={"threads"}),
                "data_sha256": dataset.content_sha256(),
                **family.header(),
            }
            write_checkpoint(args.out, weights, header)
            write_table(args.history, CURVE_COLUMNS, map(asdict, curve))

    return staged("fetch", body, args.experiment)


if __name__ == "__main__":
    sys.exit(main())
