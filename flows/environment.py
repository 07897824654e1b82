"""Where the project lies and which environment variables its flows start with."""

import json
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

ROOT_VARIABLE = "NEUMETA_ROOT"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
# Proxies of the user that Prefect's client must not see; the stages, which download, get them back.
SET_ASIDE = "NEUMETA_PROXIES_SET_ASIDE"


def project_root(env: Mapping[str, str] = os.environ) -> Path:
    """Find the repository the flows work on.

    Args:
        env: the environment; `NEUMETA_ROOT` names another repository than this file's own.

    Returns:
        The absolute path of the folder that holds dvc.yaml.
    """
    chosen = env.get(ROOT_VARIABLE)
    return Path(chosen).resolve() if chosen else Path(__file__).resolve().parents[1]


def defaults(root: Path) -> dict[str, str]:
    """List the variables that are set where the user has not set them.

    Args:
        root: the repository the flows work on.

    Returns:
        Variable name to value.
    """
    return {
        # No telemetry from Prefect (it reads both) nor from DVC (the first is its older name).
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "ITERATIVE_DO_NOT_TRACK": "1",
        # Runs, logs and settings of this project stay with it.
        "PREFECT_HOME": str(root / ".prefect"),
        # A cold start on a busy machine took 18 s, the default limit is 20 s.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }


def set_defaults(env: MutableMapping[str, str] = os.environ) -> None:
    """Fill in the defaults, leaving what is set alone, and keep proxies away from this machine.

    Args:
        env: the environment to fill in.
    """
    for name, value in defaults(project_root(env)).items():
        if not env.get(name):
            env[name] = value
    if not env.get("PREFECT_PROFILE"):
        env.pop("PREFECT_PROFILE", None)  # Prefect would look for a profile without a name
    # Prefect takes it as it stands, and a flow may work in another folder than the server.
    env["PREFECT_HOME"] = str(Path(env["PREFECT_HOME"]).expanduser().absolute())
    env.update(sparing_local(env))


def proxies(env: Mapping[str, str]) -> dict[str, str]:
    """Choose the variables that name proxies; programs read them in either case.

    Args:
        env: an environment.

    Returns:
        Variable name to value, without those that say where no proxy is wanted.
    """
    return {
        name: value
        for name, value in env.items()
        if name.lower().endswith("_proxy") and name.lower() != "no_proxy"
    }


def sparing_local(env: Mapping[str, str]) -> dict[str, str]:
    """Say that no proxy is wanted for addresses of this machine.

    A program reads `no_proxy` or `NO_PROXY`, and often the first of them that is set, so each gets
    what the other says where it says nothing itself.

    Args:
        env: an environment.

    Returns:
        Both variables; nothing where there are no proxies.
    """
    if not proxies(env):
        return {}
    found = {}
    for name, other in (("no_proxy", "NO_PROXY"), ("NO_PROXY", "no_proxy")):
        hosts = [host.strip() for host in (env.get(name) or env.get(other) or "").split(",")]
        hosts += [host for host in LOCAL_HOSTS if host not in hosts]
        found[name] = ",".join(filter(None, hosts))
    return found


def set_proxies_aside(env: MutableMapping[str, str] = os.environ) -> None:
    """Take all proxies out of the environment of a process whose server is on this machine.

    `no_proxy` is not enough: a proxy that Prefect's client has no support for, such as one for
    SOCKS, stops it even where the proxy would not be used.

    Args:
        env: the environment to change; `child_environment` undoes it.
    """
    if found := proxies(env):
        env[SET_ASIDE] = json.dumps(found)
        for name in found:
            del env[name]


def child_environment(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Make the environment of a child process.

    The folder of the running interpreter comes first on PATH, so that a stage's `python` is the
    interpreter of the flow even when its environment was not activated.

    Args:
        env: the environment to start from.

    Returns:
        A new environment.
    """
    made = {**env, "PYTHONUNBUFFERED": "1"}
    made |= json.loads(made.pop(SET_ASIDE, "{}"))
    bin_folder = str(Path(sys.executable).parent)
    path = [bin_folder, *(p for p in env.get("PATH", "").split(os.pathsep) if p != bin_folder)]
    return {**made, "PATH": os.pathsep.join(p for p in path if p)}


def stages_at_once(env: Mapping[str, str] = os.environ) -> int:
    """Tell how many stages may run side by side.

    Args:
        env: the environment; `NEUMETA_STAGES_AT_ONCE` decides, else the number of cores.

    Returns:
        At least 1. Two trainings on two cores take longer than one after the other.

    Raises:
        ValueError: the variable is not a whole number from 1.
    """
    name = "NEUMETA_STAGES_AT_ONCE"
    text = env.get(name, "").strip()
    if not text:
        return (os.cpu_count() or 1) // 4 or 1
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise ValueError(f"{name}={text[:40]!r}: must be a whole number from 1 to 999999")
    return int(text)
