"""The result table of classifications: one row per (method, width, seed), one column per metric.

The long table of `neumeta.measure.measurements` holds any metric of any network.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from neumeta.core.files import atomic_write_text
from neumeta.core.jobs import JobStore
from neumeta.core.tables import Column
from neumeta.measure.frames import read_frame
from neumeta.tasks.task import Metric

_COLUMNS = {
    "method": Column("text"),
    "width": Column("whole"),
    "seen": Column("flag"),
    "seed": Column("whole", empty=True),
    "accuracy": Column("number", empty=True),
    "loss": Column("number", empty=True),
    "params": Column("whole"),
    "macs": Column("whole"),
}
RESULT_COLUMNS = tuple(_COLUMNS)


@dataclass(frozen=True)
class ResultRow:
    """One measured network.

    Attributes:
        method: Name of the method, such as `neumeta` or `individual`.
        width: Base width h of the measured network.
        seen: Whether the INR was trained at this width.
        seed: Seed of the run, or None where the method has no randomness.
        accuracy: Share of correct test examples, 0 to 1.
        loss: Mean task loss on the test set (nats for cross-entropy).
        params: Number of parameters of the whole network.
        macs: Multiply-accumulate operations of the whole network for one example.
    """

    method: str
    width: int
    seen: bool
    seed: int | None
    accuracy: float
    loss: float
    params: int
    macs: int

    def value(self, metric: Metric) -> float:
        """Read one metric.

        Args:
            metric: One of the table's columns.

        Returns:
            Its value.
        """
        return float(getattr(self, metric.name))


def row_store(root: str | Path, shared: Any) -> JobStore[tuple[ResultRow, ...]]:
    """Make the store of jobs that give rows of the table.

    Args:
        root: See `JobStore`.
        shared: Likewise.

    Returns:
        The store; numbers come back as they were, to the last bit, NaN too.
    """
    return JobStore(
        root,
        shared,
        encode=lambda rows: [asdict(row) for row in rows],
        decode=lambda content: tuple(ResultRow(**row) for row in content),
    )


def to_frame(rows: Iterable[ResultRow]) -> pd.DataFrame:
    """Collect rows into a table with the fixed column order.

    Args:
        rows: The measured networks.

    Returns:
        A table with `RESULT_COLUMNS`; `seed` is a nullable integer.
    """
    frame = pd.DataFrame([asdict(row) for row in rows], columns=list(RESULT_COLUMNS))
    return frame.astype({"seed": "Int64"})


def results_csv(frame: pd.DataFrame) -> str:
    """Format the table as CSV (booleans as true/false, empty seed where there is none).

    Args:
        frame: A table with `RESULT_COLUMNS`.

    Returns:
        The text of the file.
    """
    table = frame.loc[:, list(RESULT_COLUMNS)].copy()
    table["seen"] = table["seen"].map({True: "true", False: "false"})
    for column in ("accuracy", "loss"):
        table[column] = table[column].map("{:.6f}".format, na_action="ignore")
    return table.to_csv(index=False, lineterminator="\n")


def write_results(path: str | Path, frame: pd.DataFrame) -> None:
    """Write the table as CSV, atomically.

    Args:
        path: Target file.
        frame: A table with `RESULT_COLUMNS`.
    """
    atomic_write_text(path, results_csv(frame))


def read_results(path: str | Path) -> pd.DataFrame:
    """Read a result table strictly.

    Args:
        path: A CSV written by `write_results`.

    Returns:
        The table; `seen` is boolean and `seed` a nullable integer.

    Raises:
        UserError: If the file is missing or its columns or values are not those of the table.
    """
    return read_frame(path, _COLUMNS, "result table")
