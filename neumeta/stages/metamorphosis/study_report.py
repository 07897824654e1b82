"""Stage study_report: turn the orders and INRs of one study into its report."""

import sys
from collections.abc import Sequence
from pathlib import Path

from neumeta.core.errors import UserError
from neumeta.core.reading import load_section
from neumeta.core.records import StageRun, read_json
from neumeta.core.stage import check_outputs, flags, stage_parser, staged
from neumeta.core.targets import json_of, report_folder
from neumeta.methods.metamorphosis.orders_report.inputs import (
    NetworkOrders,
    StudyInputs,
    StudyInrs,
)
from neumeta.methods.metamorphosis.orders_report.page import build_orders_report
from neumeta.methods.metamorphosis.params.study import StudyParams
from neumeta.report.page import write_report


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": report_folder(), "--summary": json_of("experiment", "headline")}
    compulsory = ("--study", "--orders", "--order-runs", "--inrs", "--record", *writes)
    args = flags(argv, stage_parser("metamorphosis.study_report", *compulsory))

    def body() -> None:
        section = load_section(StudyParams, args.study)
        folder = Path(args.orders)
        runs = []
        for name in section.networks:
            if not (folder / f"{name}.json").is_file():
                raise UserError(f"{folder}: lacks {name}.json; run `dvc repro orders@{name}`")
            run = read_json(Path(args.order_runs) / f"{name}.run.json", StageRun)
            runs.append(run.model_copy(update={"stage": f"{run.stage}, {name}"}))
        inrs = read_json(args.inrs, StudyInrs)
        if inrs.experiment not in section.networks:
            raise UserError(
                f"{args.inrs}: its experiment {inrs.experiment!r} is none of {args.study}.networks"
            )
        networks = [read_json(folder / f"{name}.json", NetworkOrders) for name in section.networks]
        inputs = StudyInputs(
            study=args.study,
            networks=networks,
            inrs=inrs,
            params=section.model_dump(mode="json"),
            runs=[*runs, read_json(args.record, StageRun)],
        )
        report = build_orders_report(inputs)
        check_outputs(args, writes)
        write_report(report, args.out, args.summary)

    return staged("study_report", body, args.study)


if __name__ == "__main__":
    sys.exit(main())
