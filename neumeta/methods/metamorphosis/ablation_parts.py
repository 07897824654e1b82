"""The rows of an ablation and what was measured of them, kept until a table is joined.

A table holds rows, a row holds changes of the section `train`. What is measured lies in files
named after a hash of everything it depends on, so a changed parameter, input or line of code never
meets a stale one, and an unchanged row is not measured again when another is added.
"""

import dataclasses
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neumeta.core.cache_key import state_key
from neumeta.core.fields import Precision, ScoredSplit
from neumeta.core.files import write_json
from neumeta.methods.metamorphosis.params.ablate import AblateParams, row_params
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams

ABLATION_COLUMNS = (
    "table",
    "row",
    "seed",
    "width",
    "seen",
    "accuracy",
    "inr_params",
    "collapsed",
)
_log = logging.getLogger("neumeta")


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
class Part:
    """What was measured of one variant.

    Attributes:
        accuracies: Accuracy by width, fractions, in the order of the variant's widths.
        inr_params: Parameters of the INR.
        collapsed: Whether the generator is dead; the accuracies are those of the dead one.
        seconds: Time spent, with the training where this variant was the first to need it.
    """

    accuracies: tuple[float, ...]
    inr_params: int
    collapsed: bool
    seconds: float


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


class Parts:
    """The folder of trained INRs and of what was measured of them."""

    def __init__(self, folder: str | Path, inputs: Sequence[str | Path]) -> None:
        """Name the folder; the first part makes it.

        Args:
            folder: Of one experiment's ablations.
            inputs: Files that every variant depends on: data, base network, code.
        """
        self.folder = Path(folder)
        self._inputs = state_key(None, inputs)

    def path(self, variant: Variant) -> Path:
        """Where a part lies.

        Args:
            variant: What it measures.

        Returns:
            The file.
        """
        return self.folder / f"{state_key([self._inputs, variant.settings()], [])}.json"

    def inr_path(self, variant: Variant) -> Path:
        """Where its INR lies; variants that are only sampled or scored differently share it.

        Args:
            variant: What is trained.

        Returns:
            The file.
        """
        return self.folder / f"{state_key([self._inputs, variant.training()], [])}.safetensors"

    def forget_other_inrs(self, variants: Iterable[Variant]) -> None:
        """Delete INRs that nothing asks for any more; measurements are small and stay.

        Args:
            variants: What is asked for.
        """
        kept = {self.inr_path(variant) for variant in variants}
        for path in set(self.folder.glob("*.safetensors")) - kept:
            path.unlink()

    def read(self, variant: Variant) -> Part | None:
        """Look a part up; a damaged one is measured again.

        Args:
            variant: What it measures.

        Returns:
            The part, or None while there is none.
        """
        path = self.path(variant)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Part(**{**content, "accuracies": tuple(content["accuracies"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            _log.warning("%s: damaged; measuring it again", path)
            path.unlink()
            return None

    def seconds(self, variants: Iterable[Variant]) -> float:
        """Add up the time behind finished parts, each counted once.

        Args:
            variants: Repeats allowed.

        Returns:
            Seconds of training and scoring, over all attempts.
        """
        found = {self.path(variant).name: self.read(variant) for variant in variants}
        return sum((part.seconds for part in found.values() if part), start=0.0)

    def write(self, variant: Variant, part: Part) -> None:
        """Keep a part, atomically.

        Args:
            variant: What was measured.
            part: The result.
        """
        write_json(self.path(variant), asdict(part))


def csv_rows(lines: Iterable[Line], parts: Parts) -> list[dict[str, Any]]:
    """Put finished parts into the rows of the table.

    Args:
        lines: All of them measured.
        parts: Where they lie.

    Returns:
        Rows with `ABLATION_COLUMNS`, ready for `write_table`.
    """
    rows = []
    for line in lines:
        part, trained = parts.read(line.variant), line.variant.train.widths.values()
        assert part is not None, f"{line.table}, {line.row} was not measured"
        rows += [
            {
                "table": line.table,
                "row": line.row,
                "seed": line.variant.seed,
                "width": width,
                "seen": "true" if width in trained else "false",
                "accuracy": f"{accuracy:.6f}",
                "inr_params": part.inr_params,
                "collapsed": "true" if part.collapsed else "false",
            }
            for width, accuracy in zip(line.variant.widths, part.accuracies, strict=True)
        ]
    return rows
