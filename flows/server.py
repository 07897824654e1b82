"""A local Prefect server as a child process, ended when its owner ends."""

import contextlib
import errno
import http.client
import os
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)

from flows.children import TAIL, ChildGroups, clean_line
from flows.environment import LOCAL_HOSTS, child_environment, proxies, set_proxies_aside
from flows.errors import FlowError, one_line
from flows.heartbeat import heartbeat
from flows.variables import wrong_address

LOCAL = "127.0.0.1"
START_LIMIT = 180.0  # seconds; a cold start with a new database took 18 on a busy machine
ASK_LIMIT = 12.0  # seconds until a configured server counts as gone
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


def check_configured(api_url: str) -> None:
    """Look whether the configured server answers, by way of Prefect's own client.

    Args:
        api_url: the address.

    Raises:
        FlowError: it is no address, nobody answers in time, or a program that is no such server.
    """
    where = f"PREFECT_API_URL={api_url}"
    if wrong := wrong_address(api_url):
        raise FlowError(f"{where}: {wrong}")
    if urlsplit(api_url).hostname in LOCAL_HOSTS:
        set_proxies_aside()
    found: list[BaseException | None] = []

    def ask() -> None:
        try:
            with get_client(sync_client=True, httpx_settings={"timeout": ASK_LIMIT}) as client:
                # Also a page of another program is an answer; only a Prefect server has a version.
                client.raise_for_api_version_mismatch()
            found.append(None)
        except Exception as error:  # of the network, of TLS, of a proxy, of the answer
            found.append(error.__cause__ or error)

    # In a thread: the look-up of a name has no limit of its own.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ASK_LIMIT)
    error = found[0] if found else f"no answer within {ASK_LIMIT:.0f} s"
    if error is not None:
        raise FlowError(
            f"{where}: no Prefect server answers there ({one_line(error)}); "
            "start it, or unset the variable for a server of this command's own"
        )


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
