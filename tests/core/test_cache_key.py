"""What the keys of unfinished runs leave out."""

from neumeta.core.cache_key import NEUTRAL, is_neutral
from tests.toy import ROOT


def test_what_is_left_out_exists() -> None:
    for entry in NEUTRAL:
        place = ROOT / "neumeta" / entry
        assert place.is_dir() if entry.endswith("/") else place.is_file(), entry


def test_schemas_are_left_out_and_what_computes_is_not() -> None:
    package = ROOT / "neumeta"
    assert is_neutral(package / "methods/metamorphosis/params/train.py")
    assert is_neutral(package / "training/params.py")
    assert not is_neutral(package / "training/fit.py")
