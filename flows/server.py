"""A local Prefect server as a child process, ended when its owner ends."""

import contextlib
import errno
import http.client
import os
import re
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)

from flows.children import ChildGroups, clean_line
from flows.configured import check_configured
from flows.environment import child_environment, proxies, set_proxies_aside
from flows.errors import FlowError, one_line
from flows.heartbeat import heartbeat

LOCAL = "127.0.0.1"
START_LIMIT = 180.0  # seconds; a cold start with a new database took 18 on a busy machine
_NAMED_ERROR = re.compile(r"[\w.]*(Error|Exception): \S")
SEND_LIMIT = 10.0  # seconds for the last logs, and for the last events


def healthy(api_url: str) -> bool:
    """Ask a Prefect server on this machine whether it is up; no proxy is asked.

    Args:
        api_url: its address, ending in `/api`.

    Returns:
        True if it answered that it is healthy.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{api_url.rstrip('/')}/health", timeout=5) as answer:
            return bool(answer.read().strip() == b"true")
    except (OSError, ValueError, http.client.HTTPException):
        return False


def server_env(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Make the environment of a server of our own, which talks to nobody but this machine.

    Args:
        env: the environment to start from.

    Returns:
        A new environment, without proxies and without what would move the server elsewhere.
    """
    made = child_environment(env)
    elsewhere = {"PREFECT_API_URL", "PREFECT_SERVER_API_BASE_PATH"}
    return {name: made[name] for name in made.keys() - proxies(made).keys() - elsewhere}


def check_port_number(port: int) -> None:
    """Refuse what is no port.

    Args:
        port: port number.

    Raises:
        FlowError: it is not.
    """
    if not 0 < port < 65536:
        raise FlowError(f"--port {port}: must be from 1 to 65535")


def check_port(host: str, port: int) -> None:
    """Try to bind a port.

    Args:
        host: address to bind.
        port: port number.

    Raises:
        FlowError: no server could listen there.
    """
    check_port_number(port)
    try:
        if not host:
            raise OSError("it is empty")
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = f"port {port} of {host} is used by another program; choose one with --port"
        elif error.errno == errno.EACCES:
            text = f"--port {port}: this user may not listen there; choose one above 1023"
        else:
            text = f"--host {host!r}: not an address of this machine ({one_line(error)})"
        raise FlowError(text) from error
    except UnicodeError as error:
        raise FlowError(f"--host {host!r}: not an address of this machine") from error


def port_is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen at a port.

    Args:
        host: address to bind.
        port: port number.

    Returns:
        True if it could.
    """
    with contextlib.suppress(FlowError):
        check_port(host, port)
        return True
    return False


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
    set_proxies_aside()
    api_url = f"http://{f'[{host}]' if ':' in host else host}:{port}/api"
    if healthy(api_url):
        say(f"using the Prefect server at {api_url}")
        with _settings_for(api_url):
            yield api_url
        return
    check_port(host, port)
    say(f"starting a Prefect server at {api_url}, its log is {log_file}")
    log_file.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host]
    groups = ChildGroups(grace=10.0)  # not the flow's: cancelling stages must not end the server
    with log_file.open("wb") as log:
        child = groups.start([*command, "--port", str(port)], log_file.parent, log, server_env())
        try:
            with heartbeat("start of the Prefect server", _to_stderr):
                _wait(api_url, child.process.poll, log_file)
            with _settings_for(api_url):
                yield api_url
        finally:
            groups.finish(child)
            say("stopped the Prefect server")


@contextlib.contextmanager
def _settings_for(api_url: str) -> Iterator[None]:
    """Let Prefect's client find a server of this machine, and let it in."""
    changes: dict[Any, Any] = {PREFECT_API_URL: api_url}
    if (asked := PREFECT_SERVER_API_AUTH_STRING.value()) and not PREFECT_API_AUTH_STRING.value():
        changes[PREFECT_API_AUTH_STRING] = asked
    with temporary_settings(changes):
        yield


@contextlib.contextmanager
def server_of_a_run(own: bool = True) -> Iterator[None]:
    """Have a Prefect server for the length of a `with` block: the configured one, or our own.

    Prefect would start one by itself, but in the process group of the terminal, where Ctrl-C ends
    it before the flow can tell it anything, and without an end where the flow is terminated.

    At the end what Prefect has not sent yet is sent, as long as there is somebody to send it to.

    Args:
        own: whether a server of our own will do; else Prefect starts one in every process.

    Yields:
        Nothing; Prefect's settings name the server.

    Raises:
        FlowError: the configured server does not answer, or ours did not start.
    """
    home = prefect_home()
    with contextlib.ExitStack() as stack:
        if configured := PREFECT_API_URL.value():
            check_configured(configured)
        elif own:
            with socket.socket() as probe:
                probe.bind((LOCAL, 0))
                port = probe.getsockname()[1]
            silent = local_server(LOCAL, port, home / "server.log", say=lambda text: None)
            stack.enter_context(silent)
        else:
            set_proxies_aside()
        try:
            yield
        finally:
            send_what_is_left()


def send_what_is_left() -> None:
    """Send the logs and events that Prefect still holds; give up after a while.

    Prefect sends them when the interpreter ends, which is after our server has, and tries for more
    than a minute.
    """
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=SEND_LIMIT)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _why(log: str) -> str:
    """Find the line of a server's log that tells why it ended: a named error, or the last."""
    lines = [line for raw in log.splitlines() if (line := clean_line(raw))]
    named = [line for line in lines if _NAMED_ERROR.match(line)]
    return (named or lines or ["no output"])[-1][:300]


def _wait(api_url: str, poll: Callable[[], int | None], log_file: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not healthy(api_url):
        over, late = poll() is not None, time.monotonic() > deadline
        if over or late:
            what = "start" if over else f"answer within {START_LIMIT:.0f} s"
            why = _why(log_file.read_text("utf-8", "replace"))
            raise FlowError(f"the Prefect server did not {what}: {why} (see {log_file})")
        time.sleep(0.2)


def prefect_home() -> Path:
    """Find the folder in which Prefect keeps this project's database and logs.

    Returns:
        The folder, which git is told to ignore.

    Raises:
        FlowError: nothing can be written there.
    """
    home = Path(os.environ["PREFECT_HOME"])
    try:
        home.mkdir(parents=True, exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        with tempfile.TemporaryFile(dir=home):  # a read-only folder may have the file already
            pass
    except OSError as error:
        raise FlowError(
            f"{home}: Prefect cannot keep its data there ({error.strerror}); "
            "let PREFECT_HOME name a folder that can be written"
        ) from error
    return home
