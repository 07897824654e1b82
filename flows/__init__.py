"""Orchestration of the pipeline with Prefect: one task per DVC stage, one child process per task.

Importing the package fills in the environment's defaults (see `flows.environment`), because
Prefect reads its settings once, when it is first imported. What it could not be imported with ends
the process here, with one line.
"""

import sys

import flows._interpreter  # noqa: F401  # first: the others need the Python of the project
from flows.environment import set_defaults
from flows.variables import mistake

set_defaults()
if _text := mistake():
    print(f"error: {_text}", file=sys.stderr)
    sys.exit(2)
