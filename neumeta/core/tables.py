"""Small CSV tables, such as training curves: one writer, and one strict reader."""

import csv
import io
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_text

Kind = Literal["text", "whole", "number", "finite", "flag"]
_MUST_BE: dict[Kind, str] = {
    "text": "a text",
    "whole": "a whole number",
    "number": "a number",
    "finite": "a finite number",
    "flag": "true or false",
}


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Attributes:
        kind: Of its values; `whole` is 0 or more, `number` may be infinite or NaN.
        empty: Whether a field may be empty.
    """

    kind: Kind
    empty: bool = False

    def read(self, text: str) -> Any:
        """Read a field that is not empty.

        Args:
            text: Its text.

        Returns:
            A str, int, float or bool.

        Raises:
            ValueError: If it holds something else.
        """
        if self.kind == "text":
            return text
        if self.kind == "flag":
            return {"true": True, "false": False}[text] if text in ("true", "false") else _fail()
        if self.kind == "whole":
            return int(text) if text.isascii() and text.isdigit() else _fail()
        value = float(text) if text == text.strip() and "_" not in text else _fail()
        return value if self.kind == "number" or math.isfinite(value) else _fail()


Columns: TypeAlias = Mapping[str, Column] | Callable[[Sequence[str]], Mapping[str, Column]]


def write_table(
    path: str | Path, columns: Collection[str], rows: Iterable[Mapping[str, Any]]
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


def read_table(path: str | Path, columns: Columns, what: str = "table") -> list[dict[str, Any]]:
    """Read a CSV table strictly.

    Args:
        path: The file.
        columns: What every column holds, in their order; or what tells this from the names that
            the file has.
        what: Names this kind of table in errors.

    Returns:
        Values by column name, row by row. An empty field is NaN in a column of numbers, else None.

    Raises:
        UserError: If the file is missing, or a column or value is not that of such a table.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such {what}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a {what}: {' '.join(str(error).split())}") from error
    head = lines[0] if lines else []
    wanted = columns(head) if callable(columns) else columns
    if head != list(wanted):
        raise UserError(f"{path}: columns are {','.join(head)}; must be {','.join(wanted)}")
    return [_row(f"{path}: line {n}", wanted, cells) for n, cells in enumerate(lines[1:], 2)]


def _row(where: str, columns: Mapping[str, Column], cells: Sequence[str]) -> dict[str, Any]:
    if len(cells) != len(columns):
        raise UserError(f"{where}: has {len(cells)} fields; must have {len(columns)}")
    row: dict[str, Any] = {}
    for (name, column), text in zip(columns.items(), cells, strict=True):
        if not text and not column.empty:
            raise UserError(f"{where}: column {name} is empty; every row needs one")
        try:
            row[name] = column.read(text) if text else _nothing(column)
        except ValueError as error:
            must_be = _MUST_BE[column.kind]
            raise UserError(f"{where}: column {name} is {text!r}; must be {must_be}") from error
    return row


def _nothing(column: Column) -> float | None:
    return math.nan if column.kind in ("number", "finite") else None


def _fail() -> Any:
    raise ValueError


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(value)
