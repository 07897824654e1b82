"""The ledger of code: which code was proven to compute the same as the one that made results.

`code.yaml` maps, for each stage, the hash of its code to the identity that it is equal to. Code
that has no line there is its own identity. Lines are written by `neumeta code accept` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_text
from neumeta.core.identity import UNIDENTIFIED, Files, closure_of, stage_modules

LEDGER = "code.yaml"
_HEAD = """\
# For the hash of a stage's code, the identity that it was proven equal to by running both.
# Written by `neumeta code accept`, from evidence alone; `neumeta code why STAGE` explains.
"""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        identity: Whose results the code gives.
        why: What was changed, in the words of whom changed it.
        base: Revision that it was compared with.
        twins: Runs of this stage that were compared.
    """

    identity: str
    why: str
    base: str
    twins: int


Ledger = Mapping[str, Mapping[str, Entry]]


def read_ledger(path: str | Path) -> dict[str, dict[str, Entry]]:
    """Read the ledger.

    Args:
        path: The file; a missing one is empty.

    Returns:
        Entries by stage and hash.

    Raises:
        UserError: If the file is no ledger.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a ledger of code: {error}") from error
    return parse_ledger(text, str(path))


def parse_ledger(text: str, where: str) -> dict[str, dict[str, Entry]]:
    """Read the text of a ledger.

    Args:
        text: YAML.
        where: Its name, for errors.

    Returns:
        Entries by stage and hash.

    Raises:
        UserError: If it is no ledger.
    """
    try:
        content: Any = YAML(typ="safe", pure=True).load(text)
        return {
            stage: {str(code): _entry(fields) for code, fields in entries.items()}
            for stage, entries in ({} if content is None else content).items()
        }
    except (YAMLError, TypeError, AttributeError) as error:
        raise UserError(f"{where}: not a ledger of code: {' '.join(str(error).split())}") from error


def _entry(fields: Mapping[str, Any]) -> Entry:
    entry = Entry(**fields)
    for name, kind in (("identity", str), ("why", str), ("base", str), ("twins", int)):
        value = getattr(entry, name)
        if not isinstance(value, kind):
            raise TypeError(f"{name} {value!r}: must be {kind.__name__}")
    return entry


def write_ledger(path: str | Path, ledger: Ledger) -> None:
    """Write the ledger, atomically.

    Args:
        path: The file.
        ledger: Entries by stage and hash; what they say is written as one line each.
    """
    lines = [_HEAD]
    for stage, entries in sorted(ledger.items()):
        if entries:  # a name alone would not be read as a mapping
            lines.append(f"{stage}:\n")
        for code, entry in entries.items():
            fields = [f"    {key}: {_quoted(value)}\n" for key, value in vars(entry).items()]
            lines.append(f"  {_quoted(code)}:\n{''.join(fields)}")
    atomic_write_text(path, "".join(lines))


def _quoted(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return "'" + line.replace("'", "''") + "'"


def identity_of(stage: str, files: Files, ledger: Ledger) -> str:
    """Identify the code of a stage.

    Args:
        stage: Name of the stage.
        files: See `read_tree`.
        ledger: What is known to be equal.

    Returns:
        16 hexadecimal digits.
    """
    code = closure_of(stage, files).digest()
    entry = ledger.get(stage, {}).get(code)
    return entry.identity if entry else code


def identities(files: Files, ledger: Ledger) -> dict[str, str]:
    """Identify the code of all stages.

    Args:
        files: See `read_tree`.
        ledger: What is known to be equal.

    Returns:
        Identity by stage; those that take none have none.
    """
    return {
        stage: identity_of(stage, files, ledger)
        for stage in stage_modules(files)
        if stage not in UNIDENTIFIED
    }
