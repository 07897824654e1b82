"""What tests need of optional packages: without them they skip, and say so."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import pytest

TIMM = pytest.mark.skipif(
    find_spec("timm") is None, reason='timm is not installed; pip install "neumeta[timm]"'
)


def by_library(names: Iterable[str]) -> list[Any]:
    """Names of networks, those of timm marked."""
    return [
        pytest.param(name, marks=TIMM, id=name) if name.startswith("timm:") else name
        for name in names
    ]
