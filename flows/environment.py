"""Where the project lies and which environment variables its flows start with."""

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

ROOT_VARIABLE = "NEUMETA_ROOT"


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
    """Fill in the defaults, leaving what is set alone.

    Args:
        env: the environment to fill in.
    """
    for name, value in defaults(project_root(env)).items():
        env.setdefault(name, value)


def child_environment(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Make the environment of a child process.

    The folder of the running interpreter comes first on PATH, so that a stage's `python` is the
    interpreter of the flow even when its environment was not activated.

    Args:
        env: the environment to start from.

    Returns:
        A new environment.
    """
    bin_folder = str(Path(sys.executable).parent)
    path = [bin_folder, *(p for p in env.get("PATH", "").split(os.pathsep) if p != bin_folder)]
    return {**env, "PATH": os.pathsep.join(p for p in path if p), "PYTHONUNBUFFERED": "1"}
