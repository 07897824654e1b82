"""The rows of an ablation, the variants of the INR behind them, and what was measured of each.

A table holds rows, a row holds changes of the section `train`. Rows of different tables may be one
variant, which is measured once.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neumeta.core.fields import Precision, ScoredSplit
from neumeta.core.jobs import JobStore
from neumeta.methods.metamorphosis.params.ablate import AblateParams, row_params
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams


@dataclass(frozen=True)
class Variant:
    """What one INR depends on, and how it is sampled and scored.

    Attributes:
        train: Parameters of the training; their `seeds` mean nothing here.
        seed: Seed of the training.
        widths: Widths to score, channels.
        draws: K.
        noise: Half range of the noise of draws 1.., channels.
        sample_seed: Seed of the draws.
        split: What the networks are scored on.
        precision: Of the products in sampling and scoring.
    """

    train: TrainParams
    seed: int
    widths: tuple[int, ...]
    draws: int
    noise: float
    sample_seed: int
    split: ScoredSplit
    precision: Precision

    def training(self) -> dict[str, Any]:
        """Describe the training alone; equal descriptions give equal INRs.

        Returns:
            JSON-ready.
        """
        return {
            "train": self.train.model_dump(mode="json", exclude={"seeds", "sample_noise"}),
            "seed": self.seed,
        }

    def settings(self) -> dict[str, Any]:
        """Describe everything.

        Returns:
            JSON-ready.
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "widths": list(self.widths), **self.training()}


@dataclass(frozen=True)
class Line:
    """A row of a table, for one seed.

    Attributes:
        table: Name of the table.
        row: Name of the row.
        variant: What it measures.
    """

    table: str
    row: str
    variant: Variant


@dataclass(frozen=True)
class Outcome:
    """What was measured of one variant.

    Attributes:
        accuracies: Accuracy by width, fractions, in the order of the variant's widths.
        inr_params: Parameters of the INR.
        collapsed: Whether the generator is dead; the accuracies are those of the dead one.
    """

    accuracies: tuple[float, ...]
    inr_params: int
    collapsed: bool


def plan(ablate: AblateParams, train: TrainParams, sweep: SweepParams) -> list[Line]:
    """List all rows of all tables, once for each seed.

    Args:
        ablate: The section `ablate`.
        train: The section `train`, which the rows change.
        sweep: The section `sweep`: precision, and draws of rows that name none.

    Returns:
        By table, row and seed, in the order of the parameters.

    Raises:
        UserError: If a change does not fit, naming table, row and key.
    """
    lines = []
    for table in ablate.tables:
        for row in table.rows:
            changed, sample = row_params(train, table, row), row.sample
            draws = sample.draws if sample and sample.draws is not None else sweep.draws
            noise = sample.noise if sample and sample.noise is not None else changed.sample_noise
            split = table.split or ablate.split
            lines += [
                Line(
                    table.name,
                    row.name,
                    Variant(
                        changed,
                        seed,
                        ablate.widths,
                        draws,
                        float(noise),
                        sweep.seed,
                        split,
                        sweep.precision,
                    ),
                )
                for seed in ablate.seeds
            ]
    return lines


def outcome_store(root: str | Path, shared: Any) -> JobStore[Outcome]:
    """Make the store of measured variants; their INRs lie beside them.

    Args:
        root: See `JobStore`.
        shared: Likewise.

    Returns:
        The store.
    """
    return JobStore(
        root,
        shared,
        encode=asdict,
        decode=lambda content: Outcome(**{**content, "accuracies": tuple(content["accuracies"])}),
    )


def csv_rows(lines: Iterable[Line], outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Put what was measured into the rows of the table.

    Args:
        lines: All of them measured.
        outcomes: One per line.

    Returns:
        Rows with `ABLATION_COLUMNS`, ready for `write_table`.
    """
    return [
        {
            "table": line.table,
            "row": line.row,
            "seed": line.variant.seed,
            "width": width,
            "seen": "true" if width in line.variant.train.widths.values() else "false",
            "accuracy": f"{accuracy:.6f}",
            "inr_params": outcome.inr_params,
            "collapsed": "true" if outcome.collapsed else "false",
        }
        for line, outcome in zip(lines, outcomes, strict=True)
        for width, accuracy in zip(line.variant.widths, outcome.accuracies, strict=True)
    ]
