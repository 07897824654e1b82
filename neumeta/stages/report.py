"""Stage report: the result table, its key numbers, its figures and one page."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from neumeta.files import atomic_write_text
from neumeta.params import Experiment, load_section
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
from neumeta.stages._main import flags, guarded, stage_parser

# What the pipeline itself rewrites: a difference there does not make the code another one.
_WRITTEN = (":(top,exclude)reports", ":(top,exclude)dvc.lock")


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

    return guarded("report", body)


def git_revision(folder: str | Path = ".") -> str | None:
    """Name the code that runs.

    Args:
        folder: Somewhere in the repository.

    Returns:
        The short revision, with `-dirty` where code or data pointers differ from it; None
        outside a repository, before the first commit or without git.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    try:
        revision = git("rev-parse", "--short", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *_WRITTEN)
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{revision}-dirty" if changed else revision


if __name__ == "__main__":
    sys.exit(main())
