"""Schema of the section `ablate`, and what its rows change."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from neumeta.core.errors import UserError
from neumeta.core.fields import (
    NAME_PATTERN,
    Changes,
    ComputingSection,
    Draws,
    Percent,
    ScoredSplit,
    Section,
    Seeds,
    Width,
    Widths,
    as_tuple,
)
from neumeta.core.reading import explain
from neumeta.methods.metamorphosis.params.train import TrainParams


class AblateSample(Section):
    """How the networks of one row are sampled; what is null is as elsewhere."""

    draws: Draws | None = Field(None, description="K draws averaged; null: sweep.draws")
    noise: float | None = Field(None, ge=0, le=4, description="channels; null: train.sample_noise")


class AblateRow(Section):
    """One variant of the training: a line of the table, one INR per seed."""

    name: str = Field(min_length=1, description="shown in the table")
    change: Changes = Field(default_factory=dict, description="after the table's change_base")
    sample: AblateSample | None = Field(None, description="null: as the sweep")
    published: Percent | None = Field(None, description="accuracy in the paper, shown beside")


class AblateTable(Section):
    """Variants that are compared with each other."""

    name: str = Field(pattern=NAME_PATTERN, description="value of --table")
    title: str
    split: ScoredSplit | None = Field(None, description="null: that of the section")
    reference: str | None = Field(None, description="row that the others are compared with")
    published_width: Width | None = Field(None, description="h of the published numbers, channels")
    change_base: Changes = Field(default_factory=dict, description="for all rows of the table")
    rows: Annotated[tuple[AblateRow, ...], BeforeValidator(as_tuple), Field(min_length=1)]

    @model_validator(mode="after")
    def _names(self) -> "AblateTable":
        names = [row.name for row in self.rows]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"row {repeated[0]!r} is there twice; give each row its own name")
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"reference {self.reference!r} is no row; rows are {names}")
        return self


class AblateParams(ComputingSection):
    """Tables of INRs that differ from the section `train` in a few keys.

    The test split is for tables beside published numbers, the validation split for choices.
    """

    split: ScoredSplit = Field(description="what the networks are scored on")
    widths: Widths = Field(description="widths sampled and scored, channels")
    seeds: Seeds = Field(description="one INR is trained per row and seed")
    tables: Annotated[tuple[AblateTable, ...], BeforeValidator(as_tuple)]

    @model_validator(mode="after")
    def _names(self) -> "AblateParams":
        names = [table.name for table in self.tables]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"table {repeated[0]!r} is there twice; give each its own name")
        return self


def row_params(train: TrainParams, table: AblateTable, row: AblateRow) -> TrainParams:
    """Apply the changes of one row of an ablation.

    Args:
        train: The section `train` of the experiment.
        table: The table, whose `change_base` comes first.
        row: One of its rows.

    Returns:
        The parameters of that row.

    Raises:
        UserError: Naming table, row, key and what is allowed.
    """
    where = f"ablate: table {table.name!r}, row {row.name!r}"
    return changed_params(train, {**table.change_base, **row.change}, where, "ablate.seeds")


def changed_params(
    train: TrainParams, changes: Mapping[str, Any], where: str, seeds: str
) -> TrainParams:
    """Change a few keys of a section `train`.

    Args:
        train: The section.
        changes: Dotted key of the section -> value.
        where: The place of the changes, for errors.
        seeds: The key that gives the seeds instead, for errors.

    Returns:
        The parameters with these changes.

    Raises:
        UserError: Naming the place, key and what is allowed.
    """
    if "seeds" in changes:
        raise UserError(f"{where}: seeds: not changed here; set {seeds}")
    value = train.model_dump()
    for key, new in changes.items():
        *parents, last = key.split(".")
        inner: dict[str, Any] = value
        for part in parents:
            if not isinstance(inner.get(part), dict):
                sections = ", ".join(name for name in inner if isinstance(inner[name], dict))
                raise UserError(f"{where}: {key}: no section {part!r}; allowed: {sections or '-'}")
            inner = inner[part]
        if last not in inner:
            allowed = ", ".join(name for name in inner if name != "seeds")
            raise UserError(f"{where}: {key}: unknown key {last!r}; allowed are {allowed}")
        inner[last] = new
    try:
        return TrainParams.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or ", ".join(changes)
        raise UserError(f"{where}: {place}: {explain(TrainParams, fault)}") from error
