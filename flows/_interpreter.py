"""Ends a flow that another Python than the project's was asked to run, in one line.

Imported before all else, and by any Python from 3.6 on.
"""

import sys
from importlib.util import find_spec

_LACKING = ", ".join(name for name in ("prefect", "dvc") if find_spec(name) is None)
if _LACKING or sys.version_info < (3, 11):
    _VERSION = ".".join(map(str, sys.version_info[:2]))
    print(
        f"error: this Python is {sys.executable} (version {_VERSION}"
        f"{f', without {_LACKING}' if _LACKING else ''}), not that of the project; "
        "activate its environment, for example `. .venv/bin/activate`",
        file=sys.stderr,
    )
    sys.exit(2)
