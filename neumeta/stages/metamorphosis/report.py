"""Stage report: the result table, its key numbers, its figures and one page."""

import sys
from collections.abc import Sequence

from neumeta.core.reading import load_section
from neumeta.core.records import StageRun, read_json
from neumeta.core.stage import check_outputs, flags, stage_parser, staged
from neumeta.core.targets import json_of, report_folder
from neumeta.measure.frames import read_frame
from neumeta.methods.metamorphosis.columns import ABLATION_COLUMNS, HISTORY_COLUMNS
from neumeta.methods.metamorphosis.params.experiment import ReportParams
from neumeta.methods.metamorphosis.report import inputs as reading
from neumeta.methods.metamorphosis.report.page import build_report
from neumeta.report.page import write_report
from neumeta.training.curve import CURVE_COLUMNS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    compulsory = ["--experiment", "--base-history", "--permute", "--train-history", "--sweep"]
    writes = {"--out": report_folder(), "--summary": json_of("experiment", "headline")}
    compulsory += ["--merge", "--baselines", "--ablate", "--costs", "--dataset", *writes]
    parser = stage_parser("metamorphosis.report", *compulsory)
    parser.add_argument("--inr", help="folder of the INRs, to tell their size")
    parser.add_argument(
        "--runs", nargs="+", required=True, help="*.run.json of all stages, in pipeline order"
    )
    args = flags(argv, parser)

    def body() -> None:
        section = load_section(ReportParams, f"{args.experiment}.report")
        runs = [read_json(path, StageRun) for path in args.runs]
        inputs = reading.ReportInputs(
            experiment=args.experiment,
            results=reading.read_tables([args.sweep, args.merge, args.baselines]),
            base_history=read_frame(args.base_history, CURVE_COLUMNS),
            train_history=read_frame(args.train_history, HISTORY_COLUMNS),
            variation=read_json(args.permute, reading.Variation),
            dataset=read_json(args.dataset, reading.Dataset),
            runs=runs,
            params=reading.section_of(runs, section.model_dump(mode="json")),
            inr=reading.read_inrs(args.inr) if args.inr else None,
            timing=read_json(args.costs, reading.Timing),
            ablations=read_frame(args.ablate, ABLATION_COLUMNS),
        )
        report = build_report(inputs)
        check_outputs(args, writes)
        write_report(report, args.out, args.summary)

    return staged("report", body, args.experiment)


if __name__ == "__main__":
    sys.exit(main())
