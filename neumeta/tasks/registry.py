"""The tasks by name. Nothing else knows which one runs."""

from neumeta.core.errors import UserError
from neumeta.data.dataset import SPLITS, Dataset
from neumeta.tasks.classification import Classification
from neumeta.tasks.task import Task

TASKS: dict[str, Task] = {Classification.name: Classification()}


def task_of(dataset: Dataset) -> Task:
    """Look up what a dataset is for.

    Args:
        dataset: Names its task.

    Returns:
        The task.

    Raises:
        UserError: If there is no such task, or the dataset's targets are not those of the task.
    """
    if dataset.task not in TASKS:
        raise UserError(f"task {dataset.task!r} is unknown; allowed are {', '.join(TASKS)}")
    task = TASKS[dataset.task]
    wanted = task.target_shape(dataset.image_shape)
    for split in SPLITS:
        found = tuple(dataset.labels[split].shape[1:])
        if found != wanted:
            raise UserError(
                f"{dataset.name}: targets of {split} have shape {found}; {task.name} needs {wanted}"
            )
    return task
