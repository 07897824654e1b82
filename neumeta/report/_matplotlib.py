"""Imports matplotlib for the pages, whatever the user's settings of it say.

When it is first imported, matplotlib reads the name of a backend and a file of settings. Those of a
user can be of a notebook, or damaged, and then the import fails; pages need none of them, as they
draw into files by matplotlib's own defaults (`neumeta.report.figures.look`).
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from importlib.util import find_spec
from pathlib import Path

_BACKEND = "MPLBACKEND"


@contextmanager
def settings_of_its_own() -> Iterator[None]:
    """Let matplotlib find its own settings inside this, and the user's again afterwards.

    Yields:
        Nothing.
    """
    spec = find_spec("matplotlib")
    assert spec is not None and spec.origin is not None
    before = os.environ.pop(_BACKEND, None)
    try:
        with chdir(Path(spec.origin).parent / "mpl-data"):  # it looks into this folder first
            yield
    finally:
        if before is not None:
            os.environ[_BACKEND] = before


with settings_of_its_own():
    importlib.import_module("matplotlib")
