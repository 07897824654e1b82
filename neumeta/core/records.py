"""Records and tables that stages wrote, read strictly: one clear line for what does not fit."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from neumeta.errors import UserError


class Frozen(BaseModel):
    """Base of what is read: immutable, no silent type changes; other keys may be there, too."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


M = TypeVar("M", bound=Frozen)


class StageRun(Frozen):
    """How one stage ran; only the stage and its time are compulsory."""

    stage: str
    seconds: float  # wall time
    threads: int | None = None  # of the CPU
    device: str = ""
    python: str = ""
    torch: str = ""
    revision: str | None = None  # of the code, by git


def read_json(path: str | Path, model: type[M]) -> M:
    """Read a JSON file.

    Args:
        path: The file.
        model: What it must hold.

    Returns:
        Its content.

    Raises:
        UserError: If the file is missing, no JSON, or does not fit; it names file and place.
    """
    try:
        return model.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    except ValidationError as error:
        raise UserError(f"{path}: {explained(error)}") from error


def explained(error: ValidationError) -> str:
    """Tell in one line where a value is wrong, and how."""
    fault = error.errors(include_url=False)[0]
    place = "".join(f"{part}." for part in fault["loc"])[:-1]
    message = " ".join(fault["msg"].removeprefix("Value error, ").split())
    return f"{place or 'content'}: {message}; run the stage that writes it again"


def read_csv(
    path: str | Path,
    columns: Sequence[str],
    *,
    text: Sequence[str] = (),
    flags: Sequence[str] = (),
    exact: bool = False,
) -> pd.DataFrame:
    """Read a CSV table, which may hold no row.

    Args:
        path: The file.
        columns: The columns needed.
        text: Those that hold texts; all others are numeric, NaN where a field is empty.
        flags: Those that hold true or false.
        exact: Whether no other column is allowed.

    Returns:
        The table.

    Raises:
        UserError: If the file is missing, or its columns or values are not those of the table.
    """
    try:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not a CSV table: {' '.join(str(error).split())}") from error
    if exact and list(frame.columns) != list(columns):
        raise UserError(
            f"{path}: columns are {','.join(frame.columns)}; must be {','.join(columns)}"
        )
    if missing := [column for column in columns if column not in frame]:
        raise UserError(f"{path}: no column {missing[0]!r}; needed are {','.join(columns)}")
    for column in flags:
        if not frame[column].isin(["true", "false"]).all():
            raise UserError(f"{path}: column {column} must hold true or false")
        frame[column] = frame[column] == "true"
    return numeric(path, frame, [name for name in columns if name not in {*text, *flags}])


def numeric(
    path: str | Path, frame: pd.DataFrame, columns: Iterable[str], full: Iterable[str] = ()
) -> pd.DataFrame:
    """Turn columns of a table into numbers.

    Args:
        path: Named in the error.
        frame: The table; it is changed.
        columns: Names of the columns.
        full: Names of columns without an empty field.

    Returns:
        The same table.

    Raises:
        UserError: If a value is no number, or a field of `full` is empty.
    """
    for column in columns:
        try:
            frame[column] = pd.to_numeric(frame[column])
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path}: column {column}: {reason}; must be numbers") from error
    for column in full:
        if frame[column].isna().any():
            raise UserError(f"{path}: column {column} has an empty field; every row needs one")
    return frame
