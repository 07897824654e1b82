"""Tables as pandas frames, read by the one strict reader."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from neumeta.core.tables import Column, read_table

_DTYPES = {
    "text": "str",
    "whole": "int64",
    "number": "float64",
    "finite": "float64",
    "flag": "bool",
}


def read_frame(
    path: str | Path, columns: Mapping[str, Column], what: str = "table"
) -> pd.DataFrame:
    """Read a CSV table strictly.

    Args:
        path: The file.
        columns: What every column holds, in their order.
        what: Names this kind of table in errors.

    Returns:
        The table, which may hold no row; whole numbers that may be missing are nullable, other
        numbers are NaN there.

    Raises:
        UserError: If the file is missing, or a column or value is not that of such a table.
    """
    frame = pd.DataFrame(read_table(path, columns, what), columns=list(columns))
    return frame.astype({name: _dtype(column) for name, column in columns.items()})


def _dtype(column: Column) -> str:
    return "Int64" if column.kind == "whole" and column.empty else _DTYPES[column.kind]
