"""Who serves the deployment: one process at a time; the end of one pauses the schedule for all."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_RUNNER_POLL_FREQUENCY

from flows.errors import FlowError

_POLLS = 4  # polls missed by a server that is gone
LOCK = "deploy.lock"


def owner() -> str:
    """Name the place from which a deployment is served: machine and folder of Prefect.

    Returns:
        A tag for the deployment.
    """
    return f"served-by:{socket.gethostname()}:{os.environ['PREFECT_HOME']}"


@contextlib.contextmanager
def only_here(home: Path) -> Iterator[None]:
    """Be the only process on this machine that serves from a folder of Prefect.

    Args:
        home: the folder.

    Yields:
        Nothing; the lock goes with the process, however it ends.

    Raises:
        FlowError: another process does.
    """
    with (home / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise FlowError(
                f"the flow is served already, by process {file.read().strip() or 'unknown'} "
                f"({home / LOCK}); stop that one first"
            ) from error
        except OSError:  # a file system without locks: the server is asked all the same
            pass
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def check_not_served(api_url: str, name: str, mine: str) -> None:
    """Look whether a process elsewhere serves the deployment against the same server.

    Args:
        api_url: the server, for people.
        name: `FLOW/DEPLOYMENT`.
        mine: the `owner` of this process, which knows that no other serves here.

    Raises:
        FlowError: one does: it has asked for runs of late, and the schedule is not paused.
    """
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return
    if found.paused or found.last_polled is None or mine in found.tags:
        return
    silent = (datetime.now(UTC) - found.last_polled).total_seconds()
    limit = _POLLS * PREFECT_RUNNER_POLL_FREQUENCY.value()
    if silent < limit:
        where = next((tag for tag in found.tags if tag.startswith("served-by:")), "another process")
        raise FlowError(
            f"{api_url} has {name} served already, {where}, {silent:.0f} s ago; stop that one "
            f"first (if it was killed, wait {limit} s)"
        )
