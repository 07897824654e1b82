"""What the worker is told of the project by name: a name that is gone would say nothing."""

import importlib

import pytest

from neumeta.core.identity import LOCK, distribution, locked_versions
from neumeta.gate.worker import HEAVY, SILENCED
from neumeta.measure import controls
from tests.toy import ROOT


@pytest.mark.parametrize("name", SILENCED)
def test_what_is_silenced_is_there(name: str) -> None:
    """Else twins, which train for three steps, would fail on a dead generator."""
    assert callable(getattr(controls, name))


@pytest.mark.parametrize("name", HEAVY)
def test_what_is_imported_beforehand_is_there(name: str) -> None:
    assert distribution(name.partition(".")[0]) in locked_versions((ROOT / LOCK).read_text())
    importlib.import_module(name)
