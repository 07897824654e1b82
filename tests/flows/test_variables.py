"""Variables of users: mistakes are one line, and no proxy comes between programs of a machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.environment import (
    child_environment,
    set_defaults,
    set_proxies_aside,
    sparing_local,
    stages_at_once,
)
from flows.server import server_env
from flows.variables import wrong_address
from tests.flows.toy import PROJECT, flow_environment, free_port

# DVC 3.67 reads an attribute that pygtrie has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

NOWHERE = "http://127.0.0.1:9"


def run_flow(root: Path, home: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """The flow as a user starts it, without a server of the tests: exit code, output, errors."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.width_report", *arguments],
        cwd=PROJECT,
        env=flow_environment(root, home) | {"PREFECT_SERVER_UI_ENABLED": "false"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"PREFECT_LOGGING_LEVEL": "LOUD"}, "PREFECT_LOGGING_LEVEL='LOUD': must be one of DEBUG"),
        ({"PREFECT_LOGGING_ROOT_LEVEL": "9"}, "PREFECT_LOGGING_ROOT_LEVEL='9': must be one of"),
        ({"PREFECT_PROFILE": "work"}, "PREFECT_PROFILE='work': must be one of cloud, ephemeral"),
        ({"PREFECT_PROFILES_PATH": __file__}, f"{__file__}: not a file of profiles ("),
        ({"PREFECT_LOGGING_CONFIG_PATH": "/no.yml"}, "'/no.yml': there is no such file"),
        ({"PREFECT_LOGGING_CONFIG_PATH": __file__}, "(look at PREFECT_LOGGING_CONFIG_PATH, "),
        (
            {"PREFECT_LOGGING_HANDLERS_API_CLASS": "no"},
            "look at PREFECT_LOGGING_HANDLERS_API_CLASS",
        ),
        ({"PREFECT_API_REQUEST_TIMEOUT": "abc"}, "PREFECT_API_REQUEST_TIMEOUT='abc': Input should"),
        ({"PREFECT_LOGGING_COLORS": "maybe"}, "PREFECT_LOGGING_COLORS='maybe': Input should be"),
        ({"PREFECT_API_URL": "none"}, "PREFECT_API_URL='none': must be an address such as http"),
        ({"PREFECT_API_URL": f"{NOWHERE}/api"}, "no Prefect server answers there ([Errno 111]"),
        ({"PREFECT_API_URL": "http://no.invalid/api"}, "no Prefect server answers there ("),
        ({"PREFECT_HOME": "/proc/prefect"}, "/proc/prefect: Prefect cannot keep its data there ("),
        ({"PREFECT_HOME": __file__}, f"{__file__}: Prefect cannot keep its data there (File exis"),
        ({"PREFECT_API_SSL_CERT_FILE": __file__}, f"{__file__!r}: holds no certificates ("),
        (
            {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////no/x.db"},
            "the Prefect server did not start: sqlalchemy.exc.OperationalError: ",
        ),
        ({"NEUMETA_STAGES_AT_ONCE": "two"}, "NEUMETA_STAGES_AT_ONCE='two': must be a whole number"),
        ({"NEUMETA_ROOT": "/no/such"}, "/no/such: cannot read the pipeline: "),
    ],
)
def test_a_wrong_variable_is_one_line_soon(
    done: Path, tmp_path: Path, variables: dict[str, str], text: str
) -> None:
    start = time.monotonic()
    code, output, error = run_flow(done, tmp_path / "home", **variables)
    assert (code, output) == (2, ""), error
    assert error.startswith("error: ") and text in error and error.count("\n") == 1
    assert time.monotonic() - start < 20


def test_another_program_at_the_address_is_no_prefect_server(done: Path, tmp_path: Path) -> None:
    port = free_port()
    web = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/api"
        code, _, error = run_flow(done, tmp_path / "home", PREFECT_API_URL=url)
    finally:
        web.terminate()
        web.wait()
    assert code == 2 and error.count("\n") == 1
    assert f"PREFECT_API_URL={url}: no Prefect server answers there (" in error


def test_a_flow_with_a_server_of_its_own_ends_when_it_is_done_whatever_the_proxies(
    done: Path, tmp_path: Path
) -> None:
    """SOCKS is what Prefect's client has no support for; the others lead nowhere."""
    proxies = {name: NOWHERE for name in ("http_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    socks = {name: "socks5://127.0.0.1:9" for name in ("ALL_PROXY", "all_proxy")}
    elsewhere = {"NO_PROXY": "example.org"}
    password = {"PREFECT_SERVER_API_AUTH_STRING": "user:password"}
    start = time.monotonic()
    code, output, error = run_flow(
        done, tmp_path / "home", "--targets", "data", **proxies, **socks, **elsewhere, **password
    )
    assert (code, output) == (0, "1 cached\n"), error
    assert "Error logging to API" not in error and "Traceback" not in error
    assert time.monotonic() - start < 60


def test_stages_keep_the_proxies_that_prefect_must_not_see() -> None:
    env = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.org", "PATH": "/bin"}
    env |= sparing_local(env)
    spared = "example.org,127.0.0.1,localhost,::1"
    assert (env["no_proxy"], env["NO_PROXY"]) == (spared, spared)
    set_proxies_aside(env)
    assert "HTTPS_PROXY" not in env
    set_proxies_aside(env)  # as a run of a deployment does, in a process of its own
    stage, server = child_environment(env), server_env(env)
    assert (stage["HTTPS_PROXY"], stage["NO_PROXY"]) == ("http://proxy:3128", spared)
    assert "HTTPS_PROXY" not in server and not any("ASIDE" in name for name in (*stage, *server))


def test_each_no_proxy_keeps_its_own_hosts() -> None:
    env = {"http_proxy": "x", "no_proxy": "a, localhost", "NO_PROXY": "*"}
    assert sparing_local(env) == {
        "no_proxy": "a,localhost,127.0.0.1,::1",
        "NO_PROXY": "*,127.0.0.1,localhost,::1",
    }
    assert sparing_local({"NO_PROXY": "a"}) == {}


def test_defaults_fill_what_is_empty_and_leave_what_is_set() -> None:
    env = {
        "NEUMETA_ROOT": "/project",
        "PREFECT_HOME": "",
        "PREFECT_PROFILE": "",
        "DO_NOT_TRACK": "0",
    }
    set_defaults(env)
    assert (env["PREFECT_HOME"], env["DO_NOT_TRACK"]) == ("/project/.prefect", "0")
    assert "PREFECT_PROFILE" not in env
    set_defaults(relative := {"PREFECT_HOME": "prefect"})
    assert relative["PREFECT_HOME"] == str(Path.cwd() / "prefect")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "²", "1000000", "1" * 5000])
def test_stages_at_once_is_a_number_from_1(text: str) -> None:
    with pytest.raises(ValueError, match=r"NEUMETA_STAGES_AT_ONCE=.* from 1 to 999999"):
        stages_at_once({"NEUMETA_STAGES_AT_ONCE": text})
    assert stages_at_once({"NEUMETA_STAGES_AT_ONCE": " 3 "}) == 3
    assert stages_at_once({"NEUMETA_STAGES_AT_ONCE": ""}) == ((os.cpu_count() or 1) // 4 or 1)


@pytest.mark.parametrize(
    "text", ["none", "ftp://a/api", "http://", "http://a:70000/api", "http://a:b"]
)
def test_an_address_needs_scheme_host_and_port(text: str) -> None:
    assert "must be an address such as" in wrong_address(text)
    assert wrong_address("https://prefect.example.org/api") == wrong_address("") == ""
    assert wrong_address("http://[::1]:4200/api") == ""


def test_what_is_set_aside_can_be_read_back() -> None:
    env = {"all_proxy": "socks5://[::1]:9", "Ftp_Proxy": 'a"b'}
    set_proxies_aside(env)
    assert json.loads(*env.values()) == {"all_proxy": "socks5://[::1]:9", "Ftp_Proxy": 'a"b'}
