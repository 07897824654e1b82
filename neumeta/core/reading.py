"""Reading params.yaml: what is wrong there is told in one line."""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from neumeta.core.errors import UserError
from neumeta.core.fields import S

PARAMS_FILE = "params.yaml"


def load_section(model: type[S], key: str, path: str | Path = PARAMS_FILE) -> S:
    """Read one section only, so that a stage sees nothing that DVC does not track for it.

    Args:
        model: The schema of the section.
        key: Dotted key, such as `digits-lenet.train`.
        path: A YAML file as params.yaml.

    Returns:
        The checked section.

    Raises:
        UserError: If the section is missing or wrong.
    """
    return parse(model, load_value(key, path), path, key)


def load_value(key: str, path: str | Path = PARAMS_FILE) -> Any:
    """Read one plain value.

    Args:
        key: Dotted key, such as `digits-lenet.dataset`.
        path: A YAML file as params.yaml.

    Returns:
        What the file holds there, unchecked.

    Raises:
        UserError: If the key is missing.
    """
    value: Any = read_yaml(path)
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            allowed = ", ".join(sorted(map(str, value))) if isinstance(value, dict) else "nothing"
            raise UserError(f"{path}: no key {part!r} on the way to {key}; allowed are {allowed}")
        value = value[part]
    return value


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Args:
        path: The file.

    Returns:
        Plain Python values.

    Raises:
        UserError: If the file is missing or no YAML mapping.
    """
    try:
        value = deepcopy(_parsed(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}") from error
    except (YAMLError, ValueError, RecursionError) as error:  # of bytes, and of endless numbers
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: must hold a mapping of sections")
    return value


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:
    """What a text says; a stage reads one file for each of its sections."""
    return YAML(typ="safe", pure=True).load(text)


def parse(model: type[S], value: Any, path: str | Path, section: str) -> S:
    """Validate one section and turn pydantic's report into one line.

    Args:
        model: The schema.
        value: What the file holds.
        path: Named in the error.
        section: Dotted key of the section, named in the error.

    Returns:
        The checked section.

    Raises:
        UserError: Naming file, section, key and what is allowed.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # A mistyped key is unknown and leaves another one missing: the first names the mistake.
        faults = sorted(
            error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden"
        )
        fault = faults[0]
        place = ".".join([*filter(None, [section]), *map(str, fault["loc"])])
        text = explain(model, fault)
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UserError(f"{path}: {place}: {text}{more}") from error


def explain(model: type[BaseModel], fault: Any) -> str:
    """Tell what is wrong with a value, and what is allowed.

    Args:
        model: The schema that was applied.
        fault: One entry of pydantic's report.

    Returns:
        One line.
    """
    if fault["type"] == "extra_forbidden":
        owner = _owner(model, fault["loc"][:-1])
        allowed = ", ".join(owner.model_fields) if owner else "the keys of the schema"
        return f"unknown key; allowed are {allowed}"
    if fault["type"] == "missing":
        return "is missing"
    message = fault["msg"].removeprefix("Value error, ")
    got = fault.get("input")
    shown = f", got {got!r}" if not isinstance(got, dict | list | BaseModel) else ""
    return f"{message}{shown}"


def _owner(model: type[BaseModel], place: tuple[Any, ...]) -> type[BaseModel] | None:
    """Walk from a model down a path of field names to the nested model there."""
    for part in place:
        field = model.model_fields.get(str(part))
        kinds = getattr(field.annotation, "__args__", (field.annotation,)) if field else ()
        nested = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if not nested:
            return None
        model = nested[0]
    return model
