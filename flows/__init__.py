"""Orchestration of the pipeline with Prefect: one task per DVC stage, one child process per task.

Importing the package fills in the environment's defaults (see `flows.environment`), because
Prefect reads its settings once, when it is first imported.
"""

from flows.environment import set_defaults

set_defaults()
