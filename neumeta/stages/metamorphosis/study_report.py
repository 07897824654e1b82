"""Stage study_report: turn the orders and INRs of one study into its report."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_text
from neumeta.core.reading import load_section
from neumeta.core.stage import flags, git_revision, stage_parser, staged
from neumeta.methods.metamorphosis.params.study import StudyParams
from neumeta.report.reading import read_run
from neumeta.study_report import StudyFacts, build_study_report
from neumeta.study_report.reading import read_inrs, read_orders


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    names = ("--study", "--orders", "--inrs", "--record", "--out", "--summary")
    args = flags(argv, stage_parser("metamorphosis.study_report", *names))

    def body() -> None:
        section = load_section(StudyParams, args.study)
        folder = Path(args.orders)
        runs = []
        for name in section.networks:
            if not (folder / f"{name}.json").is_file():
                raise UserError(f"{folder}: lacks {name}.json; run `dvc repro orders@{name}`")
            run = read_run(folder / f"{name}.run.json")
            runs.append(replace(run, stage=f"{run.stage}, {name}"))
        inrs = read_inrs(args.inrs)
        if inrs.experiment not in section.networks:
            raise UserError(
                f"{args.inrs}: its experiment {inrs.experiment!r} is none of {args.study}.networks"
            )
        facts = StudyFacts(
            study=args.study,
            networks=[read_orders(folder / f"{name}.json") for name in section.networks],
            inrs=inrs,
            params=section.model_dump(mode="json"),
            runs=[*runs, read_run(args.record)],
            revision=git_revision(),
        )
        report = build_study_report(facts)
        for name, text in report.files.items():
            atomic_write_text(Path(args.out) / name, text)
        atomic_write_text(args.summary, report.summary)

    return staged("study_report", body)


if __name__ == "__main__":
    sys.exit(main())
