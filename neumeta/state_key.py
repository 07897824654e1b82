"""What the state of an unfinished run depends on, so that no other run ever meets it."""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from neumeta.files import sha256_of

RESUME_ROOT = Path("data/.resume")


def loaded_code() -> list[str]:
    """List the project's modules that this process has imported.

    Returns:
        Their files, sorted.
    """
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "neumeta"]
    return sorted({file for module in modules if (file := getattr(module, "__file__", None))})


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
