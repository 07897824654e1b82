"""Stage baselines: measure everything the INR is compared with."""

import sys
from collections.abc import Sequence

from neumeta.baselines.run import Baselines
from neumeta.dataset import read_dataset
from neumeta.network_file import read_network
from neumeta.params import BaselineParams, WidthRange, load_section
from neumeta.results import to_frame, write_results
from neumeta.stages._main import flags, guarded, recorded, stage_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    parser = stage_parser("baselines", "--experiment", "--dataset", "--permuted", "--out", "--run")
    args = flags(argv, parser)

    def body() -> None:
        params = load_section(BaselineParams, f"{args.experiment}.baselines")
        trained = load_section(WidthRange, f"{args.experiment}.train.widths")
        with recorded("baselines", args.run):
            weights, family, _ = read_network(args.permuted)
            comparison = Baselines(weights, family, read_dataset(args.dataset), trained)
            write_results(args.out, to_frame(comparison.measure(params)))

    return guarded("baselines", body)


if __name__ == "__main__":
    sys.exit(main())
