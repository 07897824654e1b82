"""Schema of a whole experiment and of the whole file."""

import re
from pathlib import Path

from pydantic import Field, model_validator

from neumeta.errors import UserError
from neumeta.params.ablate import AblateParams, row_params
from neumeta.params.base import FamilyParams, FetchParams, PermuteParams
from neumeta.params.data import DataParams
from neumeta.params.fields import NAME_PATTERN, Percent, Section, Width, as_tuple
from neumeta.params.inr import SweepParams, TrainParams
from neumeta.params.peers import BaselineParams
from neumeta.params.reading import PARAMS_FILE, parse, read_yaml

RESERVED_NAMES = frozenset({"experiments", "datasets", "data", "summary", "index"})


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


class Experiment(Section):
    """One experiment: a dataset, a family, and one section per stage."""

    dataset: str
    family: FamilyParams
    fetch: FetchParams
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


class Params(Section):
    """The whole file."""

    experiments: dict[str, str] = Field(description="what `dvc repro` runs: name -> dataset")
    datasets: tuple[str, ...] = Field(description="the datasets those experiments read")
    data: dict[str, DataParams]
    defined: dict[str, Experiment] = Field(description="every experiment section of the file")


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
    fixed = ("experiments", "datasets", "data")
    if missing := [key for key in fixed if key not in raw]:
        raise UserError(f"{path}: section {missing[0]!r} is missing")
    for key in ("experiments", "data"):
        if not isinstance(raw[key], dict):
            raise UserError(f"{path}: {key}: must be a mapping of names")
    data = {name: parse(DataParams, s, path, f"data.{name}") for name, s in raw["data"].items()}
    defined = {
        name: parse(Experiment, section, path, name)
        for name, section in raw.items()
        if name not in fixed
    }
    top = {"experiments": raw["experiments"], "datasets": as_tuple(raw["datasets"])}
    params = parse(Params, {**top, "data": data, "defined": defined}, path, "")
    _check_names(params, path)
    return params


def _check_names(params: Params, path: str | Path) -> None:
    for name in (*params.defined, *params.data):
        if name in RESERVED_NAMES:
            raise UserError(f"{path}: {name!r} is reserved; choose another name")
    for name in params.defined:
        if not re.match(NAME_PATTERN, name):
            raise UserError(f"{path}: experiment {name!r}: use lower-case letters, digits and '-'")
    for name, experiment in params.defined.items():
        if experiment.dataset not in params.data:
            allowed = ", ".join(params.data)
            raise UserError(
                f"{path}: {name}.dataset: no section data.{experiment.dataset}; allowed: {allowed}"
            )
    for name, dataset in params.experiments.items():
        if name not in params.defined:
            allowed = ", ".join(params.defined)
            raise UserError(f"{path}: experiments: {name!r} is not defined; allowed: {allowed}")
        expected = params.defined[name].dataset
        if dataset != expected:
            raise UserError(f"{path}: experiments.{name}: must be its dataset, {expected!r}")
        if dataset not in params.datasets:
            raise UserError(f"{path}: datasets: add {dataset!r}, which {name} reads")
    if unknown := sorted(set(params.datasets) - set(params.data)):
        allowed = ", ".join(params.data)
        raise UserError(f"{path}: datasets: {unknown[0]!r} is not defined; allowed: {allowed}")
