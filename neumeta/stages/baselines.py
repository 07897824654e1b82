"""Stage baselines: measure everything the INR is compared with; resumable after each network."""

import sys
from collections.abc import Sequence

from neumeta.baselines.course import Course
from neumeta.baselines.diary import Diary
from neumeta.baselines.run import Baselines
from neumeta.dataset import read_dataset
from neumeta.files import check_writable
from neumeta.network_file import read_network
from neumeta.params import (
    PARAMS_FILE,
    BaselineParams,
    ExamplesParams,
    WidthRange,
    load_section,
    load_value,
    parse,
)
from neumeta.results import to_frame, write_results
from neumeta.stages._main import flags, recorded, stage_parser, staged
from neumeta.state_key import RESUME_ROOT, loaded_code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    names = ("--experiment", "--dataset", "--permuted", "--out", "--record")
    parser = stage_parser("baselines", *names)
    args = flags(argv, parser)

    def body() -> None:
        check_writable(args.record)
        section = f"{args.experiment}.train"
        params = load_section(BaselineParams, f"{args.experiment}.baselines")
        trained = load_section(WidthRange, f"{section}.widths")
        seen = {key: load_value(f"{section}.{key}") for key in ("precision", "augmentation")}
        examples = parse(ExamplesParams, seen, PARAMS_FILE, section)
        base, family, _ = read_network(args.permuted)
        dataset = read_dataset(args.dataset, family.input_spec)
        course = Course(family, base, dataset, examples, trained.values())
        comparison = Baselines(course, params)
        shared = [part.model_dump(mode="json") for part in (trained, examples)]
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
