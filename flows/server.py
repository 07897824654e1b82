"""A local Prefect server as a child process, ended when its owner ends."""

import contextlib
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.children import TAIL, ChildGroups, clean_line
from flows.errors import FlowError

LOCAL = "127.0.0.1"
START_LIMIT = 180.0  # seconds; a cold start with a new database took 18 on a busy machine


def healthy(api_url: str) -> bool:
    """Ask a Prefect server whether it is up.

    Args:
        api_url: its address, ending in `/api`.

    Returns:
        True if it answered that it is healthy.
    """
    try:
        with urllib.request.urlopen(f"{api_url.rstrip('/')}/health", timeout=5) as answer:
            return bool(answer.read().strip() == b"true")
    except (OSError, ValueError, urllib.error.URLError):
        return False


def port_is_free(host: str, port: int) -> bool:
    """Try to bind a port.

    Args:
        host: address to bind.
        port: port number.

    Returns:
        True if a server could listen there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def local_server(
    host: str, port: int, log_file: Path, say: Callable[[str], None] = print
) -> Iterator[str]:
    """Run a Prefect server for the length of a `with` block, or use the one that is there.

    Args:
        host: address to listen on.
        port: port to listen on.
        log_file: receives the server's output.
        say: receives one line on what happens.

    Yields:
        The address of its API.

    Raises:
        FlowError: the port belongs to another program, or the server did not start.
    """
    api_url = f"http://{host}:{port}/api"
    if healthy(api_url):
        say(f"using the Prefect server at {api_url}")
        yield api_url
        return
    if not port_is_free(host, port):
        raise FlowError(f"port {port} of {host} is used by another program; choose one with --port")
    say(f"starting a Prefect server at {api_url}, its log is {log_file}")
    log_file.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host]
    groups = ChildGroups(grace=10.0)  # not the flow's: cancelling stages must not end the server
    with log_file.open("wb") as log:
        child = groups.start([*command, "--port", str(port)], Path.cwd(), stdout=log)
        try:
            _wait(api_url, child.process.poll, log_file)
            yield api_url
        finally:
            groups.finish(child)
            say("stopped the Prefect server")


@contextlib.contextmanager
def server_of_a_run() -> Iterator[None]:
    """Have a Prefect server for the length of a `with` block: the configured one, or our own.

    Prefect would start one by itself, but in the process group of the terminal, where Ctrl-C ends
    it before the flow can tell it anything, and without an end where the flow is terminated.

    Yields:
        Nothing; Prefect's settings name the server.

    Raises:
        FlowError: the server did not start.
    """
    if PREFECT_API_URL.value():
        yield
        return
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        port = probe.getsockname()[1]
    log_file = prefect_home() / "server.log"
    with (
        local_server(LOCAL, port, log_file, say=lambda text: None) as api_url,
        temporary_settings({PREFECT_API_URL: api_url}),
    ):
        yield


def _wait(api_url: str, poll: Callable[[], int | None], log_file: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not healthy(api_url):
        lines = [clean_line(raw) for raw in log_file.read_text("utf-8", "replace").splitlines()]
        last = next((line for line in reversed(lines[-TAIL:]) if line), "no output")
        if poll() is not None:
            raise FlowError(f"the Prefect server did not start: {last} (see {log_file})")
        if time.monotonic() > deadline:
            raise FlowError(
                f"the Prefect server did not answer within {START_LIMIT:.0f} s: {last} "
                f"(see {log_file})"
            )
        time.sleep(0.2)


def prefect_home() -> Path:
    """Find the folder in which Prefect keeps this project's database and logs.

    Returns:
        The folder, which git is told to ignore.
    """
    home = Path(os.environ["PREFECT_HOME"]).expanduser()
    home.mkdir(parents=True, exist_ok=True)
    ignore = home / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return home
