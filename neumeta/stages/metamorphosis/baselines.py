"""Stage baselines: measure everything the INR is compared with; resumable after each network."""

import sys
from collections.abc import Sequence

from neumeta.core.cache_key import RESUME_ROOT, loaded_code
from neumeta.core.fields import WidthRange
from neumeta.core.files import check_writable
from neumeta.core.reading import PARAMS_FILE, load_section, load_value, parse
from neumeta.core.stage import flags, recorded, stage_parser, staged
from neumeta.data.dataset import read_dataset
from neumeta.measure.results import to_frame, write_results
from neumeta.methods.metamorphosis.baselines.diary import Diary
from neumeta.methods.metamorphosis.baselines.examples import Examples
from neumeta.methods.metamorphosis.baselines.run import Baselines
from neumeta.methods.metamorphosis.params.baselines import BaselineParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.network_file import read_network
from neumeta.training.params import ExamplesParams


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    names = ("--experiment", "--dataset", "--permuted", "--out", "--record")
    parser = stage_parser("metamorphosis.baselines", *names)
    args = flags(argv, parser)

    def body() -> None:
        check_writable(args.record)
        section = f"{args.experiment}.train"
        params = load_section(BaselineParams, f"{args.experiment}.baselines")
        trained = load_section(WidthRange, f"{section}.widths")
        seen = {key: load_value(f"{section}.{key}") for key in ("precision", "augmentation")}
        settings = parse(ExamplesParams, seen, PARAMS_FILE, section)
        base, family, _ = read_network(args.permuted)
        dataset = read_dataset(args.dataset, family.input_spec)
        points = tuple(at_width(family, width) for width in trained.values())
        examples = Examples(family, base, dataset, settings, points)
        comparison = Baselines(examples, params)
        shared = [part.model_dump(mode="json") for part in (trained, settings)]
        files = [args.dataset, args.permuted, *loaded_code()]
        diary = Diary(RESUME_ROOT / args.experiment / "baselines", shared, files)
        jobs = comparison.jobs()
        earlier = [entry.seconds for job in jobs if (entry := diary.read(*job))]
        with recorded("baselines", args.record, earlier=sum(earlier, start=0.0)):
            write_results(args.out, to_frame(comparison.measure(diary)))
        diary.forget_others(jobs)

    return staged("baselines", body)


if __name__ == "__main__":
    sys.exit(main())
