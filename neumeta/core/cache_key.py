"""What kept work depends on, so that nobody ever meets that of other inputs; and where it lies."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from neumeta.core.files import sha256_of

RESUME_ROOT = Path("data/.resume")


def cache_key(settings: Any, files: Iterable[str | Path] = ()) -> str:
    """Hash what a result depends on.

    Args:
        settings: JSON-ready: parameters, hashes, identities of code.
        files: Input files, hashed by content.

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
