"""The flags of `python -m flows.width_report`."""

import argparse

from flows.errors import OneLineParser


def parser() -> argparse.ArgumentParser:
    """Make the command line's parser.

    Returns:
        The parser.
    """
    made = OneLineParser(
        prog="python -m flows.width_report", description="Run the pipeline with live logs."
    )
    made.add_argument("--experiments", nargs="+", metavar="NAME", help="switch params.yaml first")
    made.add_argument(
        "--targets", nargs="+", metavar="NAME", help="experiments, stages, or both as STAGE@NAME"
    )
    made.add_argument("--force", action="store_true", help="run the targets though unchanged")
    made.add_argument("--dry", action="store_true", help="print the plan and stop")
    made.add_argument("--pull", action="store_true", help="`dvc pull` first")
    made.add_argument("--push", action="store_true", help="`dvc push` at the end")
    made.add_argument("--commit", action="store_true", help="git commit dvc.lock and reports")
    made.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="do the jobs of a stage in N shards (Dask)",
    )
    made.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a running Dask scheduler, tcp://HOST:PORT"
    )
    return made
