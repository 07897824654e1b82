"""Stage merge: the base network at every width, without labels or training, as a control."""

import sys
from collections.abc import Sequence

from neumeta.core.device import describe
from neumeta.core.fields import WidthRange
from neumeta.core.reading import PARAMS_FILE, load_section, load_value, parse
from neumeta.core.recording import recorded
from neumeta.core.stage import add_device_flag, compute_with, device_of, flags, stage_parser, staged
from neumeta.core.targets import record, table
from neumeta.data.dataset import read_dataset
from neumeta.measure.results import RESULT_COLUMNS, to_frame, write_results
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.baselines.merged import merged_rows
from neumeta.methods.metamorphosis.params.merge import MergeParams
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
    writes = {"--out": table(RESULT_COLUMNS), "--record": record("merge")}
    compulsory = ("--experiment", "--dataset", "--permuted", *writes)
    parser = stage_parser("metamorphosis.merge", *compulsory, writes=writes)
    add_device_flag(parser)
    args = flags(argv, parser)

    def body() -> None:
        device, section = device_of(args), f"{args.experiment}.train"
        params = load_section(MergeParams, f"{args.experiment}.merge")
        compute_with(params)
        trained = load_section(WidthRange, f"{section}.widths")
        seen = {key: load_value(f"{section}.{key}") for key in ("precision", "augmentation")}
        settings = parse(ExamplesParams, seen, PARAMS_FILE, section)
        with recorded("merge", args.record, [args.out], describe(device), params={"merge": params}):
            base, family, _ = read_network(args.permuted)
            dataset = read_dataset(args.dataset, family.input_spec).to(device)
            points = tuple(at_width(family, width) for width in trained.values())
            comparison = Comparison(family, moved(base, device), dataset, settings, points)
            wanted = [at_width(family, width) for width in params.widths.values()]
            write_results(args.out, to_frame(merged_rows(comparison, params, wanted)))

    return staged("merge", body, args.experiment)


if __name__ == "__main__":
    sys.exit(main())
