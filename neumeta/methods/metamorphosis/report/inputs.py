"""Everything that the width report is made of, as values, and how it is read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pandas as pd
from pydantic import Field

from neumeta.core.checkpoint import read_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.records import Frozen, StageRun
from neumeta.measure.results import read_results
from neumeta.measure.statistics import measured, over_seeds
from neumeta.methods.metamorphosis.inr_file import inr_files
from neumeta.methods.metamorphosis.params.experiment import Experiment
from neumeta.methods.metamorphosis.report.looks import OURS, SHARING, describe, is_trained
from neumeta.report.texts import Look
from neumeta.report.wording import digits_for


class VariationGroup(Frozen):
    """Total variation of one clique of channels, along its shared axis."""

    name: str  # such as `conv1`
    channels: int  # that share the order
    length_before: float  # in the original order
    length_after: float  # in the smoothing order
    lower_bound: float  # proven: in no order is it less


class Total(Frozen):
    """Total variation of all tensors along every axis: their sum, and divided by their number."""

    sum: float
    per_tensor: float


class Variation(Frozen):
    """What the permutation did."""

    groups: tuple[VariationGroup, ...]  # one per clique
    total_variation: Annotated[dict[Literal["before", "after"], Total], Field(min_length=2)]
    function_error: float  # largest change of an output on real inputs
    tolerance: float  # the largest change allowed
    inputs: int  # number of real inputs compared


class Dataset(Frozen):
    """Where the accuracies were measured."""

    name: str
    content_sha256: str  # of its tensors
    sizes: dict[str, int]  # number of examples per split


class Timing(Frozen):
    """How long networks take."""

    machine: str  # that measured
    latency: dict[str, Annotated[float, Field(gt=0)]]  # seconds for one example, by width


class Inr(NamedTuple):
    """The stored INRs."""

    path: str  # where the first one lies, as text to show
    values: int  # in that file
    params: int  # of the INR itself, among those values
    frozen: int  # values of the base network that the INR does not make, among them too
    stored: Mapping[int, int]  # size of every file, bytes by seed


@dataclass(frozen=True)
class ReportInputs:
    """All inputs of one report."""

    experiment: str
    results: pd.DataFrame  # the result table, sweep and baselines together
    base_history: pd.DataFrame  # CURVE_COLUMNS
    train_history: pd.DataFrame  # HISTORY_COLUMNS
    variation: Variation
    dataset: Dataset
    runs: Sequence[StageRun] = ()  # one per stage, in pipeline order
    params: Mapping[str, Any] = field(default_factory=dict)  # see `section_of`
    inr: Inr | None = None  # None where it was not given
    timing: Timing | None = None  # None where it was not measured
    ablations: pd.DataFrame = field(default_factory=pd.DataFrame)  # ABLATION_COLUMNS, or empty

    @cached_property
    def text(self) -> Mapping[str, Any]:
        """The section `report`: title, summary and published numbers."""
        return self.params.get("report") or {}

    @cached_property
    def tested(self) -> int | None:
        """Number of test examples, or None where the data set does not say."""
        return self.dataset.sizes.get("test")

    @cached_property
    def digits(self) -> int:
        """Decimals of accuracies in per cent."""
        return digits_for(self.tested)

    @cached_property
    def methods(self) -> list[Look]:
        """What was measured, in the order of the page."""
        return describe(self.results["method"])

    @cached_property
    def stats(self) -> pd.DataFrame:
        """Averages over seeds, with `share` of the base's parameters and channels `kept` of it.

        `latency` is in milliseconds for one example, where it was measured.
        """
        found = over_seeds(self.results)
        stats = pd.concat([found.loc[[method.name]] for method in self.methods])
        full = (self.params.get("family") or {}).get("base_width") or math.nan
        full = next(reversed(measured(stats, "base").index), full)
        kept = stats.index.get_level_values("width") / full
        times = self.timing.latency if self.timing else {}
        latency = [
            1e3 * times.get(str(width), math.nan) for width in stats.index.get_level_values("width")
        ]
        share = stats["params"] / self.base_params
        return stats.assign(share=share, kept=kept, latency=latency)

    @cached_property
    def base_params(self) -> float:
        """Parameters of the base network, or of the largest one where it was not measured."""
        base = self.results["method"] == "base"
        return float((self.results[base] if base.any() else self.results)["params"].max())

    def stored(self, method: str, seed: int | None, params: int) -> int | None:
        """Size of the file that must be kept to have a network, bytes; None where not known."""
        if method in SHARING:  # one network gives all widths
            params = round(self.base_params)
        if method not in OURS:
            return 4 * params
        if self.inr is None or seed is None:
            return None
        if seed not in self.inr.stored:
            raise UserError(f"{self.experiment}: no INR of seed {seed}, which {method} measured")
        return self.inr.stored[seed]

    def of(self, method: str) -> pd.DataFrame:
        """The averages of one method that hold an accuracy, by width."""
        return measured(self.stats, method)

    @cached_property
    def base(self) -> float | None:
        """Accuracy of the base network, a fraction, or None where it was not measured."""
        return next(reversed(self.of("base")["mean"].tolist()), None)

    @cached_property
    def controls(self) -> pd.DataFrame:
        """The best of what ours is compared with, by width: its `method` and `mean`.

        The base network is one of them. It is named where others are level with it, such as those
        that leave it as it is at its own width. `trained` tells whether any of them was trained.
        """
        found = self.stats.query("n > 0")["mean"].reset_index()
        found = found[~found["method"].isin(OURS)]
        found = found.assign(
            other=found["method"] != "base", trained=found["method"].map(is_trained).astype(bool)
        )
        ranked = found.sort_values(["mean", "other"], ascending=[False, True], kind="stable")
        best = ranked.drop_duplicates("width").set_index("width").sort_index()
        return best[["method", "mean"]].join(found.groupby("width")["trained"].any())

    @cached_property
    def published(self) -> dict[int, float]:
        """Accuracy of NeuMeta in the paper by width, fractions, where it was measured here."""
        told = {int(width): v / 100 for width, v in (self.text.get("published") or {}).items()}
        return {width: value for width, value in told.items() if width in self.of("neumeta").index}

    @cached_property
    def published_drops(self) -> dict[int, float]:
        """How far those lie below the base network of the paper; none where that is not told."""
        base = self.text.get("published_base")
        return {} if base is None else {w: base / 100 - v for w, v in self.published.items()}


def read_tables(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read result tables, which must hold a row, and put them under one another."""
    frames = [read_results(path) for path in paths]
    if not any(map(len, frames)):
        raise UserError(f"{', '.join(map(str, paths))}: no result rows; nothing to report")
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def section_of(runs: Sequence[StageRun], report: Mapping[str, Any]) -> dict[str, Any]:
    """Put together the section of an experiment: what its stages were asked for, and `report`."""
    asked = {name: part for run in runs if run.stage != "data" for name, part in run.params.items()}
    asked["report"] = report
    if missing := [name for name in Experiment.model_fields if name not in asked]:
        raise UserError(f"no record tells the parameters {missing[0]!r}; give those of all stages")
    return {name: asked[name] for name in Experiment.model_fields}


def read_inrs(folder: str | Path) -> Inr | None:
    """Measure the INRs of a folder, one `seed-0.safetensors` per seed; None where it has none."""
    files = inr_files(folder)
    if not files:
        return None
    sizes = {name: value.numel() for name, value in read_checkpoint(files[0])[0].items()}

    def total(start: str) -> int:
        return sum(size for name, size in sizes.items() if name.startswith(start))

    stored = {int(file.stem.removeprefix("seed-")): file.stat().st_size for file in files}
    return Inr(files[0].as_posix(), total(""), total("inr.network."), total("frozen."), stored)
