"""Small CSV tables of training curves."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neumeta.core.files import atomic_write_text


def write_table(
    path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows as CSV; None becomes an empty field, floats get 8 significant digits.

    Args:
        path: Target file.
        columns: Column names in order.
        rows: Values by column name.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_text(row[column]) for column in columns])
    atomic_write_text(path, buffer.getvalue())


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(value)
