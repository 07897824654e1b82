"""The whole parameter file: checked at once, and its list of what `dvc repro` runs edited."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from neumeta.core.errors import UserError
from neumeta.core.fields import NAME_PATTERN, Section, as_tuple
from neumeta.core.files import atomic_write_text
from neumeta.core.reading import PARAMS_FILE, parse, read_yaml
from neumeta.data.params import DataParams
from neumeta.methods.metamorphosis.params.experiment import Experiment
from neumeta.methods.metamorphosis.params.study import OrdersParams, StudyParams, study_params
from neumeta.stages._selection import Selection, selection, write_selection
from neumeta.training.params import NetworkSection

_FIXED = ("run", "data", "orders")
_LIST = re.compile(r"^run:[^\n]*\n(?:(?:[ \t]+|- )[^\n]*\n)*", re.MULTILINE)
RESERVED_NAMES = frozenset({*_FIXED, "summary", "index"})


class Params(Section):
    """The whole file."""

    run: tuple[str, ...] = Field(description="experiments and studies that `dvc repro` runs")
    data: dict[str, DataParams]
    orders: OrdersParams
    defined: dict[str, Experiment] = Field(description="every experiment section of the file")
    networks: dict[str, NetworkSection] = Field(description="every section without INRs")
    defined_studies: dict[str, StudyParams] = Field(description="every study of the file")

    def runnable(self) -> tuple[str, ...]:
        """List what `neumeta use` takes.

        Returns:
            Names of experiments and studies.
        """
        return (*self.defined, *self.defined_studies)

    def selected(self, names: Sequence[str] | None = None) -> Selection:
        """Find what follows from a choice of experiments and studies.

        Args:
            names: Of `runnable`; None for those of the file.

        Returns:
            What dvc.yaml loops over.
        """
        known = {**self.networks, **self.defined}
        return selection(self.run if names is None else names, known, self.defined_studies)


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
    if missing := [key for key in _FIXED if key not in raw]:
        raise UserError(f"{path}: section {missing[0]!r} is missing")
    if not isinstance(raw["data"], dict):
        raise UserError(f"{path}: data: must be a mapping of names")
    sections: dict[type[Section], dict[str, Any]] = {
        Experiment: {},
        NetworkSection: {},
        StudyParams: {},
    }
    for name, section in raw.items():
        if name not in _FIXED:
            kind = _kind(section)
            sections[kind][name] = parse(kind, section, path, name)
    data = {name: parse(DataParams, s, path, f"data.{name}") for name, s in raw["data"].items()}
    content = {
        "run": as_tuple(raw["run"]),
        "data": data,
        "orders": parse(OrdersParams, raw["orders"], path, "orders"),
        "defined": sections[Experiment],
        "networks": sections[NetworkSection],
        "defined_studies": sections[StudyParams],
    }
    params = parse(Params, content, path, "")
    _check_names(params, path)
    _check_studies(params, path)
    return params


def _kind(section: Any) -> type[Section]:
    """Tell by its keys what a section describes; an experiment where they do not say."""
    keys = set(section) if isinstance(section, dict) else set()
    if keys & set(StudyParams.model_fields) - {"report"} and "family" not in keys:
        return StudyParams
    if keys and keys <= set(NetworkSection.model_fields):
        return NetworkSection
    return Experiment


def _check_names(params: Params, path: str | Path) -> None:
    sections = {**params.defined, **params.networks}
    for name in (*sections, *params.defined_studies, *params.data):
        if name in RESERVED_NAMES:
            raise UserError(f"{path}: {name!r} is reserved; choose another name")
    for name in (*sections, *params.defined_studies):
        if not re.match(NAME_PATTERN, name):
            raise UserError(f"{path}: experiment {name!r}: use lower-case letters, digits and '-'")
    for name, section in sections.items():
        if section.dataset not in params.data:
            allowed = ", ".join(params.data)
            raise UserError(
                f"{path}: {name}.dataset: no section data.{section.dataset}; allowed: {allowed}"
            )
    for name in params.run:
        _check_runnable(name, params, path)


def _check_studies(params: Params, path: str | Path) -> None:
    known = {**params.defined, **params.networks}
    for name, study in params.defined_studies.items():
        for network in study.networks:
            if network not in known:
                allowed = ", ".join(known)
                raise UserError(
                    f"{path}: {name}.networks: {network!r} is not defined; allowed: {allowed}"
                )
        inr = study.study
        if inr.experiment not in params.defined:
            allowed = ", ".join(params.defined)
            raise UserError(
                f"{path}: {name}.study.experiment: {inr.experiment!r} is not defined; "
                f"allowed: {allowed}"
            )
        if inr.experiment not in study.networks:
            raise UserError(f"{path}: {name}.networks: add {inr.experiment!r}, as in its study")
        experiment = params.defined[inr.experiment]
        try:
            changed = study_params(experiment.train, inr)
        except UserError as error:
            raise UserError(f"{path}: {name}.study: {error}") from error
        low, high = experiment.family.min_width, experiment.family.max_width
        for width in (*inr.widths, *changed.widths.values(), *changed.probe_widths):
            if not low <= width <= high:
                raise UserError(
                    f"{path}: {name}.study: width {width} is outside the family's {low}..{high}"
                )


def _check_runnable(name: str, params: Params, path: str | Path) -> None:
    if name not in params.runnable():
        allowed = ", ".join(params.runnable())
        users = [key for key, s in params.defined_studies.items() if name in s.networks]
        why = f"has no INR; choose its study, {users[0]}" if users else "is not defined"
        raise UserError(f"{path}: experiment or study {name!r} {why}; allowed are {allowed}")


def select_experiments(names: Sequence[str], path: str | Path = PARAMS_FILE) -> None:
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
        _check_runnable(name, params, path)
    text = _LIST.sub(f"run: [{', '.join(chosen)}]\n", Path(path).read_text(encoding="utf-8"), 1)
    expected = {**read_yaml(path), "run": chosen}
    draft = Path(path).with_name(f".{Path(path).name}.draft")
    try:
        atomic_write_text(draft, text)
        if read_yaml(draft) != expected:
            raise UserError(f"{path}: cannot edit run; write it by hand as `run: [NAME]`")
        write_selection(path, params.selected(chosen))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
