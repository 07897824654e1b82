"""The scheduled deployment: `python -m flows.deploy --cron "0 3 * * *"` and nothing else.

Serves the flow of `flows.width_report` on a schedule, one run at a time, against the Prefect server
of PREFECT_API_URL, or against a local one that it starts and stops itself.
"""

import argparse
import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import EntrypointType
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.checks import check_machine
from flows.configured import check_configured
from flows.dvc_graph import read_plan
from flows.environment import project_root
from flows.errors import FlowError, OneLineParser, one_line
from flows.served import check_not_served, only_here, owner
from flows.server import check_port_number, local_server, prefect_home
from flows.width_report import width_report

NAME = "scheduled"
DEFAULT_CRON = "0 3 * * *"  # every night at three
YEAR = 366 * 24 * 60 * 60  # seconds
# The checkout has one dvc.lock: a run that would start beside another is dropped, not queued,
# because the running one already does the same work.
ONE_AT_A_TIME = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)


def schedule_of(cron: str | None, interval: float | None, timezone: str | None) -> Schedule:
    """Make the schedule.

    Args:
        cron: five fields, minute to weekday; None for the default.
        interval: seconds between two starts, instead of a cron text.
        timezone: the zone of the cron text, such as `Europe/Berlin`; None for UTC.

    Returns:
        The schedule.

    Raises:
        FlowError: the cron text, the interval or the time zone is not valid.
    """
    if interval is not None:
        if not 0 < round(interval, 6) <= YEAR:
            raise FlowError(
                f"--interval {interval:g}: needs a number of seconds above 0, at most {YEAR}"
            )
        if timezone is not None:
            raise FlowError("--timezone: belongs to --cron; an interval has no zone")
        return Interval(timedelta(seconds=interval))
    cron = DEFAULT_CRON if cron is None else cron
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValueError as error:
        zone = f" --timezone {timezone!r}" if timezone else ""
        raise FlowError(
            f"--cron {cron!r}{zone}: not a schedule; needs five fields, minute hour day month "
            f'weekday, for example "{DEFAULT_CRON}", and a zone such as Europe/Berlin'
        ) from error
    return Cron(cron, timezone=timezone)


@contextmanager
def server(host: str, port: int) -> Iterator[str]:
    """Find the Prefect server to serve against, or run one for the length of a `with` block.

    Args:
        host: address of a server of our own.
        port: its port.

    Yields:
        The address of its API.

    Raises:
        FlowError: there is none.
    """
    configured = PREFECT_API_URL.value()
    if configured:
        check_configured(configured)
        _say(f"using the Prefect server at {configured} (PREFECT_API_URL)")
        yield configured
        return
    with local_server(host, port, prefect_home() / "server.log", _say) as api_url:
        yield api_url


def _say(text: str) -> None:
    print(text, flush=True)


class StoppableRunner(Runner):
    """Prefect's runner, but a signal ends the run in progress instead of waiting for its end."""

    _serving: asyncio.Task[None] | None = None

    async def start(self, run_once: bool = False, webserver: bool | None = None) -> None:
        """Serve until cancelled.

        Args:
            run_once: see Prefect.
            webserver: see Prefect.
        """
        self._serving = asyncio.current_task()
        await super().start(run_once=run_once, webserver=webserver)

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """End the flow runs, each a process of its own that ends its stage, then the serving.

        Args:
            *args: signal number and frame (unused).
            **kwargs: unused.
        """
        for child in multiprocessing.active_children():
            child.terminate()
        if self._serving:
            self._serving.get_loop().call_soon_threadsafe(self._serving.cancel)


def serve(schedule: Schedule, parameters: dict[str, Any], api_url: str) -> None:
    """Serve the flow until interrupted.

    Args:
        schedule: when to run.
        parameters: the flow's parameters.
        api_url: the Prefect server.

    Raises:
        FlowError: the server went away.
    """
    root = project_root()
    # Each run is a process of its own that imports `flows`, wherever it is started.
    code = str(project_root({}))
    old = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([code, old] if old else [code])
    os.environ["PREFECT_API_URL"] = api_url
    if password := PREFECT_API_AUTH_STRING.value():
        os.environ["PREFECT_API_AUTH_STRING"] = password
    os.chdir(root)
    try:
        with temporary_settings({PREFECT_API_URL: api_url}):
            runner = StoppableRunner(name=NAME, pause_on_shutdown=True)
            runner.add_flow(
                width_report,
                name=NAME,
                schedule=schedule,
                parameters=parameters,
                concurrency_limit=ONE_AT_A_TIME,
                description="Runs the pipeline on a schedule and posts the width report.",
                tags=[owner()],
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            page = api_url.removesuffix("/api")
            _say(f"serving {width_report.name}/{NAME}, see {page}; stop with Ctrl-C")
            signal.signal(signal.SIGINT, runner.handle_sigterm)
            asyncio.run(runner.start())
    except asyncio.CancelledError:
        _say("stopped serving")
    except httpx.TransportError as error:
        raise FlowError(f"lost the Prefect server at {api_url}: {one_line(error)}") from error


def parser() -> argparse.ArgumentParser:
    """Make the command line's parser.

    Returns:
        The parser.
    """
    made = OneLineParser(
        prog="python -m flows.deploy",
        description="Serve the flow on a schedule; starts a local Prefect server if none answers.",
    )
    when = made.add_mutually_exclusive_group()
    when.add_argument("--cron", help=f'minute hour day month weekday (default "{DEFAULT_CRON}")')
    when.add_argument("--interval", type=float, metavar="SECONDS", help="instead of --cron")
    made.add_argument("--timezone", metavar="ZONE", help="zone of --cron (default UTC)")
    made.add_argument("--host", default="127.0.0.1", help="of a server of our own")
    made.add_argument("--port", type=int, default=4200, help="of a server of our own")
    made.add_argument("--targets", nargs="+", metavar="NAME", help="what to run (default: all)")
    made.add_argument("--pull", action="store_true", help="`dvc pull` first")
    made.add_argument("--push", action="store_true", help="`dvc push` at the end")
    made.add_argument("--commit", action="store_true", help="git commit dvc.lock and reports")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the deployment from the command line.

    Args:
        argv: arguments; None for those of the process.

    Returns:
        0 when stopped by Ctrl-C or SIGTERM, 2 for a mistake of the user.
    """
    args = parser().parse_args(argv)
    parameters = {name: getattr(args, name) for name in ("targets", "pull", "push", "commit")}
    try:
        root = project_root()
        schedule = schedule_of(args.cron, args.interval, args.timezone)
        check_port_number(args.port)
        check_machine(root, args.pull, args.push, args.commit)
        read_plan(root, args.targets)
        with only_here(prefect_home()), server(args.host, args.port) as api_url:
            check_not_served(api_url, f"{width_report.name}/{NAME}", owner())
            serve(schedule, parameters, api_url)
    except FlowError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
