"""What the state of an unfinished run depends on, so that no other run ever meets it."""

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from neumeta.core.files import sha256_of

RESUME_ROOT = Path("data/.resume")

# Code that no result depends on: the schema (its values count where they are used), error texts,
# progress lines and command-line plumbing. An edit there would retrain everything, and hardly ever
# for a reason. Folders end with a slash.
NEUTRAL = (
    "core/errors.py",
    "core/fields.py",
    "core/progress.py",
    "core/reading.py",
    "core/stage.py",
    "data/params.py",
    "methods/metamorphosis/params/",
    "models/params.py",
    "permute/params.py",
    "stages/_params_file.py",
    "stages/_selection.py",
    "training/params.py",
)
_PACKAGE = Path(__file__).parents[1]


def loaded_code() -> list[str]:
    """List the project's modules that this process runs, but for the neutral ones.

    Returns:
        Their files, sorted.
    """
    files = {Path(f) for m in list(sys.modules.values()) if (f := getattr(m, "__file__", None))}
    own = {file for file in files if file.is_relative_to(_PACKAGE)}
    return sorted(str(file) for file in own if not is_neutral(file))


def is_neutral(file: Path) -> bool:
    """Tell whether results do not depend on a file.

    Args:
        file: A module of this package.

    Returns:
        True for those that `NEUTRAL` names.
    """
    path = file.relative_to(_PACKAGE).as_posix()
    return any(path.startswith(e) if e.endswith("/") else path == e for e in NEUTRAL)


def state_key(settings: Any, files: Iterable[str | Path]) -> str:
    """Hash what a run depends on.

    Args:
        settings: JSON-ready parameters.
        files: Input files and code, hashed by content.

    Returns:
        16 hexadecimal digits.
    """
    description = [torch.__version__, settings, [sha256_of(path) for path in files]]
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]


def forget(folder: str | Path) -> None:
    """Delete what one stage kept, and the experiment's folder if nothing else is left there.

    Args:
        folder: Of one stage of one experiment, below `RESUME_ROOT`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty: another stage keeps something there
        Path(folder).parent.rmdir()
