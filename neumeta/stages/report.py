"""Stage report: the result table, its key numbers, its figures and one page."""

import sys
from collections.abc import Sequence
from pathlib import Path

from neumeta.core.files import atomic_write_text
from neumeta.core.reading import load_section
from neumeta.core.stage import flags, git_revision, stage_parser, staged
from neumeta.methods.metamorphosis.params.experiment import Experiment
from neumeta.report import Facts, build_report
from neumeta.report.reading import (
    BASE_COLUMNS,
    TRAIN_COLUMNS,
    read_ablations,
    read_dataset_facts,
    read_history,
    read_inr,
    read_run,
    read_tables,
    read_variation,
)


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
        facts = Facts(
            experiment=args.experiment,
            results=read_tables([args.sweep, args.baselines]),
            base_history=read_history(args.base_history, BASE_COLUMNS),
            train_history=read_history(args.train_history, TRAIN_COLUMNS),
            variation=read_variation(args.permute),
            dataset=read_dataset_facts(args.dataset),
            runs=[read_run(path) for path in args.runs],
            params=section.model_dump(mode="json"),
            revision=git_revision(),
            inr=read_inr(args.inr) if args.inr else None,
            ablations=read_ablations(args.ablate),
        )
        report = build_report(facts)
        for name, text in report.files.items():
            atomic_write_text(Path(args.out) / name, text)
        atomic_write_text(args.summary, report.summary)

    return staged("report", body)


if __name__ == "__main__":
    sys.exit(main())
