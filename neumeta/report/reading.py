"""Reads what the other stages wrote, strictly: one clear line for whatever does not fit."""

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from neumeta.core.errors import UserError
from neumeta.measure.results import read_results
from neumeta.report.facts import Dataset, Inr, StageRun, Variation, VariationGroup

BASE_COLUMNS = ("epoch", "loss", "val_accuracy")
TRAIN_COLUMNS = (
    "seed",
    "phase",
    "step",
    "loss",
    "task",
    "distillation",
    "reconstruction",
    "regularisation",
    "lr",
    "val_accuracy",
)
ABLATION_COLUMNS = (
    "table",
    "row",
    "seed",
    "width",
    "seen",
    "accuracy",
    "inr_params",
    "collapsed",
)
_HEADER_LIMIT = 100_000_000  # bytes: the limit of the safetensors format


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        UserError: If the file is missing or holds no JSON object.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: must hold a JSON object, not {type(value).__name__}")
    return value


def read_tables(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read result tables and put them under one another.

    Args:
        paths: CSV files in the form of `neumeta.measure.results`.

    Returns:
        One table.

    Raises:
        UserError: If a file is wrong, a value is no number, or all files together hold no row.
    """
    frames = []
    for path in paths:
        frame = read_results(path)
        _numeric(path, frame, ("width", "accuracy", "loss", "params", "macs"))
        for column in ("method", "width"):
            if frame[column].isna().any():
                raise UserError(f"{path}: column {column} has an empty field; every row needs one")
        frames.append(frame)
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        raise UserError(f"{', '.join(map(str, paths))}: no result rows; nothing to report")
    return pd.concat(frames, ignore_index=True)


def read_history(path: str | Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read the CSV of a training.

    Args:
        path: The file.
        columns: The columns needed; others are allowed.

    Returns:
        The table; empty fields are NaN, every column but `phase` is numeric.

    Raises:
        UserError: If the file is missing, a column is missing or a value is no number.
    """
    try:
        frame = pd.read_csv(path)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not a CSV table: {' '.join(str(error).split())}") from error
    missing = [column for column in columns if column not in frame]
    if missing:
        raise UserError(f"{path}: no column {missing[0]!r}; needed are {','.join(columns)}")
    _numeric(path, frame, [column for column in columns if column != "phase"])
    return frame


def read_ablations(path: str | Path) -> pd.DataFrame:
    """Read what the ablate stage measured.

    Args:
        path: An `ablate.csv`; it may hold no row.

    Returns:
        The table; `seen` and `collapsed` are boolean.

    Raises:
        UserError: If the file is missing or its columns or values are not those of the table.
    """
    try:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not a CSV table: {' '.join(str(error).split())}") from error
    if tuple(frame.columns) != ABLATION_COLUMNS:
        allowed = ",".join(ABLATION_COLUMNS)
        raise UserError(f"{path}: columns are {','.join(frame.columns)}; must be {allowed}")
    _numeric(path, frame, ("seed", "width", "accuracy", "inr_params"))
    for column in ("seen", "collapsed"):
        if not frame[column].isin(["true", "false"]).all():
            raise UserError(f"{path}: column {column} must hold true or false")
        frame[column] = frame[column] == "true"
    return frame


def read_variation(path: str | Path) -> Variation:
    """Read what the permute stage measured.

    Args:
        path: A `permute.json`.

    Returns:
        The measurements.

    Raises:
        UserError: If a key is missing or no number.
    """
    value = read_json(path)
    groups = value.get("groups")
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise UserError(f"{path}: groups must be a list of objects")
    return Variation(
        groups=tuple(
            VariationGroup(
                name=str(group.get("name", "?")),
                channels=int(_number(path, group, "channels")),
                before=_number(path, group, "length_before"),
                after=_number(path, group, "length_after"),
                bound=_number(path, group, "lower_bound"),
            )
            for group in groups
        ),
        sum_before=_number(path, value, "total_variation.before.sum"),
        sum_after=_number(path, value, "total_variation.after.sum"),
        per_tensor_before=_number(path, value, "total_variation.before.per_tensor"),
        per_tensor_after=_number(path, value, "total_variation.after.per_tensor"),
        function_error=_number(path, value, "function_error"),
        tolerance=_number(path, value, "tolerance"),
        inputs=int(_number(path, value, "inputs")),
    )


def read_run(path: str | Path) -> StageRun:
    """Read the record of one stage.

    Args:
        path: A `*.run.json`.

    Returns:
        The record; only the stage and its time are compulsory.

    Raises:
        UserError: If those are missing or wrong.
    """
    value = read_json(path)
    if not isinstance(value.get("stage"), str):
        raise UserError(f"{path}: stage must be the name of a stage")
    threads = value.get("threads")
    return StageRun(
        stage=value["stage"],
        seconds=_number(path, value, "seconds"),
        threads=threads if isinstance(threads, int) else None,
        device=str(value.get("device", "")),
        python=str(value.get("python", "")),
        torch=str(value.get("torch", "")),
        revision=str(value.get("revision") or ""),
    )


def read_safetensors_header(path: str | Path) -> dict[str, Any]:
    """Read the header of a safetensors file without loading a tensor.

    Args:
        path: The file: 8 bytes little-endian length, then that much JSON.

    Returns:
        The header: tensor descriptions by name, and `__metadata__`.

    Raises:
        UserError: If the file is missing or no safetensors file.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else _HEADER_LIMIT + 1
            text = stream.read(length) if length <= _HEADER_LIMIT else b""
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    try:
        header = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: damaged or not a safetensors file") from error
    if not isinstance(header, dict):
        raise UserError(f"{path}: damaged or not a safetensors file")
    return header


def read_dataset_facts(path: str | Path) -> Dataset:
    """Read name, hash and sizes of a dataset file.

    Args:
        path: A dataset in safetensors format.

    Returns:
        The facts.

    Raises:
        UserError: If the file has no such header.
    """
    metadata = read_safetensors_header(path).get("__metadata__")
    try:
        described = json.loads((metadata or {})["neumeta"])
        sizes = {str(split): int(size) for split, size in described["sizes"].items()}
        return Dataset(str(described["name"]), str(described["content_sha256"]), sizes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: header has no name, content_sha256 and sizes; run the data stage again"
        ) from error


def read_inr(folder: str | Path) -> Inr | None:
    """Measure the first INR of a folder.

    Args:
        folder: Holds one safetensors file per seed.

    Returns:
        Its path and size, or None where the folder holds none.
    """
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        return None
    header = read_safetensors_header(files[0])
    sizes = {n: math.prod(entry["shape"]) for n, entry in header.items() if n != "__metadata__"}

    def total(prefix: str) -> int:
        return sum(size for name, size in sizes.items() if name.startswith(prefix))

    return Inr(
        path=files[0].as_posix(),
        values=total(""),
        bytes=files[0].stat().st_size,
        params=total("inr.network."),
        frozen=total("frozen."),
    )


def _number(path: str | Path, value: Mapping[str, Any], key: str) -> float:
    found: Any = value
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise UserError(f"{path}: {key} must be a number, not {json.dumps(found, default=str)}")
    return float(found)


def _numeric(path: str | Path, frame: pd.DataFrame, columns: Iterable[str]) -> None:
    for column in columns:
        try:
            frame[column] = pd.to_numeric(frame[column])
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path}: column {column}: {reason}; must be numbers") from error
