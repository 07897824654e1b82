"""The whole parameter file: checked at once, and its lists of what `dvc repro` runs edited."""

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
from neumeta.stages._selection import LISTS, Selection, check_selection, selection
from neumeta.training.params import NetworkSection

_FIXED = (*LISTS, "data", "orders")
RESERVED_NAMES = frozenset({*_FIXED, "summary", "index"})


class Params(Selection):
    """The whole file."""

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

    def selected(self, names: Sequence[str]) -> Selection:
        """Write the lists for experiments and studies of this file.

        Args:
            names: Of `runnable`.

        Returns:
            The lists.
        """
        return selection(names, {**self.networks, **self.defined}, self.defined_studies)


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
    for key in ("experiments", "data", "bases", "ordered", "studies"):
        if not isinstance(raw[key], dict):
            raise UserError(f"{path}: {key}: must be a mapping of names")
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
    top = {key: raw[key] for key in LISTS} | {"datasets": as_tuple(raw["datasets"])}
    content = {
        **top,
        "data": data,
        "orders": parse(OrdersParams, raw["orders"], path, "orders"),
        "defined": sections[Experiment],
        "networks": sections[NetworkSection],
        "defined_studies": sections[StudyParams],
    }
    params = parse(Params, content, path, "")
    _check_names(params, path)
    _check_studies(params, path)
    check_selection(params, params.selected([*params.experiments, *params.studies]), path)
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
    for key, known in (("experiments", params.defined), ("studies", params.defined_studies)):
        for name in getattr(params, key):
            if name not in known:
                allowed = ", ".join(known)
                raise UserError(f"{path}: {key}: {name!r} is not defined; allowed: {allowed}")
    if unknown := sorted(set(params.datasets) - set(params.data)):
        allowed = ", ".join(params.data)
        raise UserError(f"{path}: datasets: {unknown[0]!r} is not defined; allowed: {allowed}")


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
