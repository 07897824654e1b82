"""Mistakes in the environment variables that Prefect and the flows read, found before they start.

Prefect answers some with a traceback while it is imported, some with a warning or a guess, and some
not at all: its server then does not start, or its log stays empty.
"""

import contextlib
import importlib
import io
import logging
import os
import re
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flows.environment import defaults, stages_at_once
from flows.errors import one_line

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVEL = re.compile(r"PREFECT_(SERVER_|INTERNAL_)?LOGGING_(\w+_)?LEVEL")
_CERTIFICATES = "PREFECT_API_SSL_CERT_FILE"
_FILES = (
    *("PREFECT_LOGGING_CONFIG_PATH", "PREFECT_LOGGING_SETTINGS_PATH"),
    *(_CERTIFICATES, "PREFECT_PROFILES_PATH"),
)
_API_URL = "PREFECT_API_URL"


def mistake(env: Mapping[str, str] = os.environ) -> str:
    """Find the first mistake.

    Args:
        env: the environment of this process.

    Returns:
        One line: the variable, its value and what is allowed; empty if there is none.
    """
    return next(_mistakes(env), "")


def _mistakes(env: Mapping[str, str]) -> Iterator[str]:
    try:
        stages_at_once(env)
    except ValueError as error:
        yield str(error)
    for name, value in sorted(env.items()):
        if _LEVEL.fullmatch(name) and value and value.upper() not in LEVELS:
            yield f"{name}={value!r}: must be one of {', '.join(LEVELS)}"
        if name in _FILES and value and not Path(value).expanduser().is_file():
            yield f"{name}={value!r}: there is no such file"
    if certificates := env.get(_CERTIFICATES):
        try:
            ssl.create_default_context(cafile=Path(certificates).expanduser())
        except OSError as error:
            yield f"{_CERTIFICATES}={certificates!r}: holds no certificates ({one_line(error)})"
    if found := wrong_address(env.get(_API_URL, "")):
        yield f"{_API_URL}={env[_API_URL]!r}: {found}"
    yield from _wrong_profile(env)
    yield from _refused_by_prefect(env)


def wrong_address(text: str) -> str:
    """Look at the address of a Prefect server.

    Args:
        text: the address; empty for a server of our own.

    Returns:
        What is wrong with it; empty if nothing is.
    """
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number, or too large
        good = False
    return "" if good else "must be an address such as http://127.0.0.1:4200/api, or not set"


def _wrong_profile(env: Mapping[str, str]) -> Iterator[str]:
    """Prefect takes another profile where there is none of that name."""
    spec = find_spec("prefect")
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    own = Path(env.get("PREFECT_PROFILES_PATH") or Path(env["PREFECT_HOME"]) / "profiles.toml")
    known: set[str] = set()
    for path in (*(folder / "settings/profiles.toml" for folder in folders), own.expanduser()):
        try:
            content = tomllib.loads(path.read_text("utf-8"))
        except OSError:  # absent, or the folder is wrong, of which its own check tells
            continue
        except ValueError as error:
            yield f"{path}: not a file of profiles ({one_line(error)})"
            continue
        known |= {*content.get("profiles", {})}
    chosen = env.get("PREFECT_PROFILE")
    if chosen is not None and known and chosen not in known:
        yield f"PREFECT_PROFILE={chosen!r}: must be one of {', '.join(sorted(known))}, or not set"


def _refused_by_prefect(env: Mapping[str, str]) -> Iterator[str]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # nothing in there keeps the stream
            importlib.import_module("prefect.settings").Settings()
        importlib.import_module("prefect.main")  # reads the file of its logging, if there is one
    except Exception as error:  # a settings file or a variable; Prefect wraps neither
        yield _why_refused(error, env)
        return
    # A wrong class of a handler, say, leaves Prefect without any, and without a word.
    if not logging.getLogger("prefect.flow_runs").handlers and not env.get(_FILES[0]):
        yield f"Prefect cannot write its log; look at {_suspects(env, 'PREFECT_LOGGING_')}"


def _why_refused(error: Exception, env: Mapping[str, str]) -> str:
    """Name the variable, if the error tells the value."""
    details: Any = getattr(error, "errors", None)
    for found in details() if callable(details) else ():
        names = [
            name
            for name, value in sorted(env.items())
            if name.upper().startswith("PREFECT_") and value == str(found.get("input"))
        ]
        if names:
            return f"{' or '.join(names)}={found['input']!r}: {one_line(found['msg'])}"
    return f"Prefect does not start: {one_line(error)[:300]} (look at {_suspects(env)})"


def _suspects(env: Mapping[str, str], start: str = "PREFECT_") -> str:
    """Name the variables of Prefect that the user has set."""
    ours = defaults(Path())
    names = [name for name in sorted(env) if name.startswith(start) and name not in ours]
    return ", ".join(names) or "prefect.toml and .env"
