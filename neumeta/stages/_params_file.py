"""The whole parameter file: checked at once, and its list of what `dvc repro` runs edited."""

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neumeta.core.errors import UserError
from neumeta.core.fields import NAME_PATTERN, Section
from neumeta.core.files import atomic_write_text
from neumeta.core.kinds import Kind
from neumeta.core.reading import PARAMS_FILE, parse, read_yaml
from neumeta.data.params import DataParams
from neumeta.stages._methods import METHODS, NETWORK
from neumeta.stages._selection import Selection, write_selection
from neumeta.training.params import NetworkSection

KINDS = tuple(kind for method in METHODS.values() for kind in method.kinds)
SHARED = {name: model for method in METHODS.values() for name, model in method.shared.items()}
RESERVED_NAMES = frozenset({"run", "data", *SHARED, "summary", "index"})
_LIST = re.compile(r"^run:[^\n]*\n(?:(?:[ \t]+|- )[^\n]*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Params:
    """The whole file, checked.

    Attributes:
        run: Experiments and studies that `dvc repro` runs.
        data: Every dataset.
        sections: Every section of a method, and every network without one.
        kinds: What each of these is.
    """

    run: tuple[str, ...]
    data: Mapping[str, DataParams]
    sections: Mapping[str, Section]
    kinds: Mapping[str, Kind]

    def of(self, kind: str) -> dict[str, Any]:
        """List the sections of one kind.

        Args:
            kind: Its name, such as `experiment`.

        Returns:
            Sections by name.
        """
        return {name: s for name, s in self.sections.items() if self.kinds[name].name == kind}

    def runnable(self) -> tuple[str, ...]:
        """List what `neumeta use` takes.

        Returns:
            Names of sections that bring stages.
        """
        return tuple(name for name, kind in self.kinds.items() if kind.loops is not None)

    def selected(self, names: Sequence[str] | None = None) -> Selection:
        """Find what follows from a choice of what runs.

        Args:
            names: Of `runnable`; None for those of the file.

        Returns:
            What dvc.yaml loops over.
        """
        chosen = self.run if names is None else names
        loops: dict[str, dict[str, Any]] = {loop: {} for kind in KINDS for loop in kind.looped}
        for name in chosen:
            make = self.kinds[name].loops
            assert make is not None, f"{name} is not runnable"
            for loop, entries in make(name, self.sections[name], self.sections).items():
                loops[loop] |= entries
        datasets = tuple(sorted(set(loops["networks"].values())))
        return Selection(run=tuple(chosen), datasets=datasets, loops=loops)


def load_params(path: str | Path = PARAMS_FILE) -> Params:
    """Read and check the whole parameter file.

    Args:
        path: A YAML file as params.yaml.

    Returns:
        The checked parameters.

    Raises:
        UserError: Naming file, section, key and what is allowed, on the first fault.
    """
    raw = read_yaml(path)
    if missing := [key for key in ("run", "data", *SHARED) if key not in raw]:
        raise UserError(f"{path}: section {missing[0]!r} is missing")
    if not isinstance(raw["data"], dict):
        raise UserError(f"{path}: data: must be a mapping of names")
    if not isinstance(raw["run"], list) or not all(isinstance(n, str) for n in raw["run"]):
        raise UserError(f"{path}: run: must be a list of names, as run: [digits-lenet]")
    own = {name: s for name, s in raw.items() if name not in {"run", "data", *SHARED}}
    kinds = {name: kind_of(section) for name, section in own.items()}
    sections = {name: parse(kinds[name].model, s, path, name) for name, s in own.items()}
    data = {name: parse(DataParams, s, path, f"data.{name}") for name, s in raw["data"].items()}
    for name, model in SHARED.items():
        parse(model, raw[name], path, name)
    params = Params(tuple(raw["run"]), data, sections, kinds)
    try:
        _check_names(params)
        for name, section in sections.items():
            kinds[name].check(name, section, sections)
        for name in params.run:
            _check_runnable(name, params)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return params


def kind_of(section: Any) -> Kind:
    """Tell by its keys what a section describes.

    Args:
        section: What the file holds.

    Returns:
        The first kind that has a mark there; a network where there is none but its own keys; else
        the first of all, whose schema then says what is missing.
    """
    keys = set(section) if isinstance(section, dict) else set()
    if keys and keys <= NETWORK.marks:
        return NETWORK
    return next((kind for kind in KINDS if keys & kind.marks), KINDS[0])


def _check_names(params: Params) -> None:
    for name in (*params.sections, *params.data):
        if name in RESERVED_NAMES:
            raise UserError(f"{name!r} is reserved; choose another name")
    for name in params.sections:
        if not re.match(NAME_PATTERN, name):
            raise UserError(f"experiment {name!r}: use lower-case letters, digits and '-'")
    for name, section in params.sections.items():
        if isinstance(section, NetworkSection) and section.dataset not in params.data:
            allowed = ", ".join(params.data)
            raise UserError(
                f"{name}.dataset: no section data.{section.dataset}; allowed: {allowed}"
            )


def _check_runnable(name: str, params: Params) -> None:
    if name in params.runnable():
        return
    why = "is not defined"
    if name in params.sections:
        users = [
            key for key in params.runnable() if name in params.selected([key]).loops["networks"]
        ]
        why = f"has no stages of its own; choose {' or '.join(users) or 'what reads it'}"
    allowed = ", ".join(params.runnable())
    raise UserError(f"run: {name!r} {why}; allowed are {allowed}")


def select(names: Sequence[str], path: str | Path = PARAMS_FILE) -> None:
    """Set the list of what runs, and what follows from it; all other text stays as it is.

    Args:
        names: Defined experiments and studies, in the order to list them.
        path: The parameter file; it is replaced only if the new text is valid.

    Raises:
        UserError: If a name is not defined.
    """
    params = load_params(path)
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        try:
            _check_runnable(name, params)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    text = _LIST.sub(f"run: [{', '.join(chosen)}]\n", Path(path).read_text(encoding="utf-8"), 1)
    expected = {**read_yaml(path), "run": chosen}

    def accept(draft: Path) -> None:
        if read_yaml(draft) != expected:
            raise UserError(f"{path}: cannot edit run; write it by hand as `run: [NAME]`")
        write_selection(path, params.selected(chosen))

    rewrite(path, text, accept)


def rewrite(path: str | Path, text: str, accept: Callable[[Path], None]) -> None:
    """Replace the parameter file, if the new text is good; a link stays a link.

    Args:
        path: The parameter file.
        text: Its new content.
        accept: Looks at a draft beside it, and raises UserError if it is not to be taken.
    """
    file = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".draft")
    os.close(handle)
    draft = Path(name)
    try:
        atomic_write_text(draft, text)
        accept(draft)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def check_titles(params: Params) -> None:
    """Refuse a title that two pages would have: one was copied with its section.

    Args:
        params: The whole file.

    Raises:
        UserError: Naming both sections.
    """
    first: dict[str, str] = {}
    for name, section in params.sections.items():
        title = getattr(getattr(section, "report", None), "title", None)
        if title is not None and (other := first.setdefault(title, name)) != name:
            raise UserError(f"{name}.report.title: {title!r} is that of {other}; give it its own")
