"""Stage report: the result table, its key numbers, its figures and one page."""

import sys
from collections.abc import Sequence
from pathlib import Path

from neumeta.core.records import StageRun, read_csv, read_json
from neumeta.files import atomic_write_text
from neumeta.methods.metamorphosis.report import inputs as reading
from neumeta.methods.metamorphosis.report.page import build_report
from neumeta.params import Experiment, load_section
from neumeta.stages._main import flags, git_revision, guarded, stage_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    compulsory = ["--experiment", "--base-history", "--permute", "--train-history", "--sweep"]
    compulsory += ["--baselines", "--ablate", "--dataset", "--out", "--summary"]
    parser = stage_parser("report", *compulsory)
    parser.add_argument("--inr", help="folder of the INRs, to tell their size")
    parser.add_argument("--runs", nargs="*", default=[], help="*.run.json in pipeline order")
    args = flags(argv, parser)

    def body() -> None:
        section = load_section(Experiment, args.experiment)
        inputs = reading.ReportInputs(
            experiment=args.experiment,
            results=reading.read_tables([args.sweep, args.baselines]),
            base_history=read_csv(args.base_history, reading.BASE_COLUMNS),
            train_history=read_csv(args.train_history, reading.TRAIN_COLUMNS, text=["phase"]),
            variation=read_json(args.permute, reading.Variation),
            dataset=reading.read_dataset_card(args.dataset),
            runs=[read_json(path, StageRun) for path in args.runs],
            params=section.model_dump(mode="json"),
            revision=git_revision(),
            inr=reading.read_inrs(args.inr) if args.inr else None,
            ablations=reading.read_ablations(args.ablate),
        )
        report = build_report(inputs)
        for name, text in report.files.items():
            atomic_write_text(Path(args.out) / name, text)
        atomic_write_text(args.summary, report.summary)

    return guarded("report", body)


if __name__ == "__main__":
    sys.exit(main())
