"""The tasks by name. Nothing else knows which one runs."""

from neumeta.core.errors import UserError
from neumeta.tasks.classification import Classification
from neumeta.tasks.task import Task

TASKS: dict[str, Task] = {Classification.name: Classification()}


def task_named(name: str) -> Task:
    """Look a task up.

    Args:
        name: As a dataset's header holds it.

    Returns:
        The task.

    Raises:
        UserError: If there is no such task.
    """
    if name not in TASKS:
        raise UserError(f"task {name!r} is unknown; allowed are {', '.join(TASKS)}")
    return TASKS[name]
