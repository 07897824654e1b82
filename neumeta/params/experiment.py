"""Schema of a whole experiment and of the whole file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from neumeta.errors import UserError
from neumeta.params.ablate import AblateParams, row_params
from neumeta.params.base import NetworkSection, PermuteParams
from neumeta.params.data import DataParams
from neumeta.params.fields import NAME_PATTERN, Percent, Section, Width, as_tuple
from neumeta.params.inr import SweepParams, TrainParams
from neumeta.params.peers import BaselineParams
from neumeta.params.reading import PARAMS_FILE, parse, read_yaml
from neumeta.params.selection import LISTS, Selection, check_selection, selection
from neumeta.params.study import OrdersParams, StudyParams, study_params

_FIXED = (*LISTS, "data", "orders")
RESERVED_NAMES = frozenset({*_FIXED, "summary", "index"})


class ReportParams(Section):
    """Text of the report, and published numbers to stand beside the measured ones."""

    title: str
    summary: str
    published: dict[Width, Percent] | None = Field(
        None, description="accuracy of NeuMeta in the paper by width, per cent"
    )
    published_base: Percent | None = Field(None, description="of the paper's base network")
    base_saw_validation: bool = Field(
        False, description="whether the base network was trained on the validation split, too"
    )


class Experiment(NetworkSection):
    """One experiment: a dataset, a family, and one section per stage."""

    permute: PermuteParams
    train: TrainParams
    sweep: SweepParams
    baselines: BaselineParams
    ablate: AblateParams
    report: ReportParams

    @model_validator(mode="after")
    def _widths_in_family(self) -> "Experiment":
        low, high = self.family.min_width, self.family.max_width
        used = {
            "train.widths": self.train.widths.values(),
            "train.probe_widths": self.train.probe_widths,
            "sweep.widths": self.sweep.widths.values(),
        }
        used |= {f"baselines.{key}": w for key, w in self.baselines.all_widths().items()}
        used["ablate.widths"] = self.ablate.widths
        for table in self.ablate.tables:
            for row in table.rows:
                changed = row_params(self.train, table, row)
                widths = (*changed.widths.values(), *changed.probe_widths)
                used[f"ablate: table {table.name!r}, row {row.name!r}"] = widths
        for name, widths in used.items():
            for width in widths:
                if not low <= width <= high:
                    raise ValueError(f"{name}: width {width} is outside the family's {low}..{high}")
        above = list(self.baselines.above(self.family.base_width))
        if self.baselines.slimmable or self.baselines.integral:
            trained = self.train.widths.values()
            above += [width for width in trained if width > self.family.base_width]
        for width in above:
            raise ValueError(
                f"baselines: width {width} is above the base width; pruning, interpolation and "
                f"sharing need at most {self.family.base_width}"
            )
        return self


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
