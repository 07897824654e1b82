"""A first experiment on a folder of images: its two sections, written into the parameter file."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neumeta.core.errors import UserError
from neumeta.core.fields import NAME_PATTERN
from neumeta.core.reading import PARAMS_FILE, parse, read_yaml
from neumeta.data.dataset import Dataset
from neumeta.data.entries import shown
from neumeta.data.look import SMALLEST, look_at
from neumeta.data.params import DataParams
from neumeta.data.roots import DATA_ROOT_VARIABLE, DEFAULT_ROOT
from neumeta.data.sources import load_dataset
from neumeta.methods.metamorphosis.starter import Found, starter_section
from neumeta.stages._params_file import (
    RESERVED_NAMES,
    Params,
    check_titles,
    load_params,
    rewrite,
)


def new_experiment(name: str, images: str, path: str | Path = PARAMS_FILE) -> Dataset:
    """Add an experiment on images of one's own; all other text of the file stays as it is.

    Args:
        name: Of the experiment and its data set.
        images: A folder or zip of images; see the stage `data`.
        path: The parameter file; it is replaced only if the new text is valid.

    Returns:
        The data set as the stage will make it.

    Raises:
        UserError: If the name is taken or none, the images are no data set, or the file cannot be
            edited.
    """
    params = load_params(path)
    _check_name(name, params, path)
    settings = _data_settings(images)
    dataset = load_dataset(name, parse(DataParams, settings, path, f"data.{name}"))
    if min(dataset.image_shape[1:]) < SMALLEST:
        raise UserError(f"{images}: images are smaller than {SMALLEST} x {SMALLEST} pixels")
    found = Found(name, len(dataset.classes), dataset.size("train"), dataset.image_shape)
    before = read_yaml(path)
    text = Path(path).read_text(encoding="utf-8")
    text = _with_data(text, name, settings, path)
    text = f"{text.rstrip()}\n\n{starter_section(found)}"

    def accept(draft: Path) -> None:
        after = read_yaml(draft)
        after["data"] = dict(after["data"])
        if after["data"].pop(name, None) != settings or after.pop(name, None) is None:
            raise UserError(f"{path}: cannot add {name}; put `data:` in block style, as it was")
        if after != before:
            raise UserError(f"{path}: cannot add {name} without changing the rest")
        check_titles(load_params(draft))

    rewrite(path, text, accept)
    return dataset


def _check_name(name: str, params: Params, path: str | Path) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(f"{name!r} is no name; use lower-case letters, digits and '-'")
    if name in RESERVED_NAMES:
        raise UserError(f"{name!r} is reserved; choose another name")
    for kind, names in (("section", params.sections), ("data set", params.data)):
        if name in names:
            raise UserError(f"{path}: there is a {kind} {name!r} already; choose another name")


def _data_settings(images: str) -> dict[str, Any]:
    """The section of the data set."""
    root = Path(os.path.abspath(images))
    if not images or not root.exists():
        raise UserError(f"{shown(images)!r}: no such folder or zip of images")
    if str(root) != shown(root):
        raise UserError(f"{shown(root)}: its name is no plain text; rename it")
    look = look_at(root)
    below = Path(os.path.abspath(os.environ.get(DATA_ROOT_VARIABLE) or DEFAULT_ROOT))
    inside = root.is_relative_to(below) and root != below
    place = root.relative_to(below).as_posix() if inside else root.as_posix()
    settings: dict[str, Any] = {"source": "folder", "root": place}
    if not look.has_test:
        settings["test_fraction"] = 0.2
    settings |= {"val_fraction": 0.15, "split_seed": 0}
    if look.image_size is not None:
        settings["image_size"] = look.image_size
    return settings


def _with_data(text: str, name: str, settings: dict[str, Any], path: str | Path) -> str:
    """Put a section at the end of those under `data:`, in their indentation."""
    lines = text.splitlines(keepends=True)
    starts = [at for at, line in enumerate(lines) if re.match(r"data:\s*(#.*)?$", line)]
    if len(starts) != 1:
        raise UserError(f"{path}: put `data:` on a line of its own, its sections below")
    last, indent = starts[0], ""
    for at in range(starts[0] + 1, len(lines)):
        line = lines[at]
        if line.strip() and not line.lstrip().startswith("#"):
            if line[0] not in " \t":
                break
            indent = indent or line[: len(line) - len(line.lstrip())]
            last = at
    if not lines[last].endswith("\n"):
        lines[last] += "\n"
    indent = indent or "  "
    lines[last + 1 : last + 1] = [f"{indent}{row}\n" for row in _rows(name, settings)]
    return "".join(lines)


def _rows(name: str, settings: dict[str, Any]) -> Iterator[str]:
    yield f"{name}:"
    for key, value in settings.items():
        plain = isinstance(value, str) and re.fullmatch("[a-z]+", value)
        yield f"  {key}: {value if plain else json.dumps(value, ensure_ascii=False)}"
