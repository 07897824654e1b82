"""Stage sweep: sample and score every width of every trained INR."""

import sys
from collections.abc import Sequence

from neumeta.dataset import read_dataset
from neumeta.errors import UserError
from neumeta.morph import load
from neumeta.params import SweepParams, load_section
from neumeta.results import to_frame, write_results
from neumeta.stages._main import flags, guarded, recorded, stage_parser
from neumeta.sweep import inr_files, sweep


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    args = flags(
        argv, stage_parser("sweep", "--experiment", "--dataset", "--inr", "--out", "--run")
    )

    def body() -> None:
        params = load_section(SweepParams, f"{args.experiment}.sweep")
        with recorded("sweep", args.run):
            files = inr_files(args.inr)
            if not files:
                raise UserError(f"{args.inr}: holds no seed-N.safetensors; run the train stage")
            dataset = read_dataset(args.dataset)
            rows = sweep([load(path) for path in files], dataset, params, args.experiment)
            write_results(args.out, to_frame(rows))

    return guarded("sweep", body)


if __name__ == "__main__":
    sys.exit(main())
