"""Choose what `dvc repro` runs, by editing the lists of params.yaml."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neumeta.errors import UserError
from neumeta.files import atomic_write_text
from neumeta.params import LISTS, PARAMS_FILE, load_params, read_yaml


def select_experiments(names: Sequence[str], path: str | Path = PARAMS_FILE) -> None:
    """Set the lists of what runs; all other text of the file stays as it is.

    Args:
        names: Defined experiments and studies, in the order to list them.
        path: The parameter file; it is replaced only if the new text is valid.

    Raises:
        UserError: If a name is not defined.
    """
    params = load_params(path)
    for name in names:
        if name not in params.runnable():
            allowed = ", ".join(params.runnable())
            users = [key for key, s in params.defined_studies.items() if name in s.networks]
            why = f"has no INR; choose its study, {users[0]}" if users else "is not defined"
            raise UserError(f"{path}: experiment or study {name!r} {why}; allowed are {allowed}")
    chosen = params.selected(list(dict.fromkeys(names))).model_dump(mode="json")
    text = Path(path).read_text(encoding="utf-8")
    for key in LISTS:
        text = _replace(text, key, _block(key, chosen[key]))
    expected = {**read_yaml(path), **chosen}
    draft = Path(path).with_name(f".{Path(path).name}.draft")
    try:
        atomic_write_text(draft, text)
        if read_yaml(draft) != expected:
            raise UserError(f"{path}: cannot edit {', '.join(LISTS)}; write them by hand")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _block(key: str, value: Any) -> str:
    """Write one list: names in one line, a mapping in one line for each entry."""
    if isinstance(value, list):
        return f"{key}: [{', '.join(value)}]\n"
    if not value:
        return f"{key}: {{}}\n"
    return f"{key}:\n" + "".join(f"  {name}: {_flow(entry)}\n" for name, entry in value.items())


def _flow(entry: str | dict[str, str]) -> str:
    if isinstance(entry, str):
        return entry
    return "{" + ", ".join(f"{key}: {value}" for key, value in entry.items()) + "}"


def _replace(text: str, key: str, block: str) -> str:
    """Replace a top-level key with its indented lines or its list."""
    pattern = rf"^{key}:[^\n]*\n(?:(?:[ \t]+|- )[^\n]*\n)*"
    return re.sub(pattern, lambda _: block, text, count=1, flags=re.MULTILINE)
