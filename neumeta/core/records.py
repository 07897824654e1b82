"""Records that stages wrote, read strictly: one clear line for what does not fit."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from neumeta.core.errors import UserError


class Frozen(BaseModel):
    """Base of what is read: immutable, no silent type changes; other keys may be there, too."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


M = TypeVar("M", bound=Frozen)


class StageRun(Frozen):
    """How one stage ran; the stage, its time and its parameters are compulsory."""

    stage: str
    seconds: float  # wall time
    params: dict[str, Any]  # what it was asked for, by section of params.yaml
    threads: int | None = None  # that computed
    cores: int | None = None  # of the machine
    device: str = ""
    python: str = ""
    torch: str = ""
    revision: str | None = None  # of the code, by git; null where there was no repository

    @property
    def named(self) -> bool:
        """Whether the record tells of a revision at all; those of early runs do not."""
        return "revision" in self.model_fields_set


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
