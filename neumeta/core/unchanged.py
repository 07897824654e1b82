"""Makes sure that a result is by the code it is entered under: code must not change meanwhile."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neumeta.core.errors import UserError
from neumeta.core.identity import Files, closure_of, read_tree
from neumeta.core.ledger import LEDGER, identity_of, read_ledger

ROOT = Path(__file__).resolve().parents[2]
IDENTITIES = Path("code.json")


def own_identity(stage: str) -> str:
    """Identify the code of a stage as it stands in the files now.

    Args:
        stage: Name of the stage.

    Returns:
        16 hexadecimal digits.
    """
    return identity_of(stage, read_tree(ROOT), read_ledger(ROOT / LEDGER))


@contextmanager
def unchanged(stage: str) -> Iterator[None]:
    """Refuse to end well where a stage's code changed while it ran, or before DVC started it.

    Args:
        stage: Name of the stage.

    Yields:
        Nothing.

    Raises:
        UserError: Naming what changed.
    """
    before = read_tree(ROOT)
    _check_entered(stage, identity_of(stage, before, read_ledger(ROOT / LEDGER)))
    yield
    after = read_tree(ROOT)
    if changed := _changed(stage, before, after):
        raise UserError(
            f"{changed} changed while the stage ran, so nobody knows which code made its results; "
            "run it again"
        )


def _check_entered(stage: str, identity: str) -> None:
    """Under DVC, compare with the identity that it enters beside the result."""
    if "DVC_STAGE" not in os.environ or not IDENTITIES.is_file():
        return
    entered = json.loads(IDENTITIES.read_text(encoding="utf-8")).get(stage)
    if entered != identity:
        raise UserError(
            f"{IDENTITIES} is older than the code; run `dvc repro`, or its stage `code`"
        )


def _changed(stage: str, before: Files, after: Files) -> str | None:
    """Name a file of a stage's code that is another now; comments do not count."""
    if after == before:
        return None
    old, new = closure_of(stage, before), closure_of(stage, after)
    if old.digest() == new.digest():
        return None
    differing = {p for p in {*old.files, *new.files} if old.files.get(p) != new.files.get(p)}
    return min(differing, default="the locked packages")
