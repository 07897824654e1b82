"""The width sweep: sample every width, average K draws, score on the test set."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from neumeta.core.progress import progress
from neumeta.data.dataset import Dataset
from neumeta.measure.controls import bypass_weights, check_alive, idle_weights
from neumeta.measure.results import ResultRow
from neumeta.measure.scorer import Scorer
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.methods.metamorphosis.params.train import SweepParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.methods.metamorphosis.sweep_parts import Part, Shard, SweepParts, Unit
from neumeta.training.features import products_in

_log = logging.getLogger("neumeta")


def sweep(
    morphs: Sequence[MorphableNetwork],
    dataset: Dataset,
    params: SweepParams,
    where: str,
    parts: SweepParts | None = None,
) -> list[ResultRow]:
    """Measure every width of every INR, with K draws and noise-free.

    Args:
        morphs: One per seed.
        dataset: Its test split is used.
        params: The section `sweep`.
        where: Names the experiment in errors and progress lines.
        parts: Finished parts: those there are taken, missing ones are added; None keeps nothing.

    Returns:
        Rows of the methods `neumeta` (K draws) and `neumeta-noise-free` (one exact draw), by
        seed, then width, then method.

    Raises:
        UserError: If a width is outside the family.
        CollapseError: If an INR's whole curve equals the bypass floor.
    """
    check_widths(morphs, params)
    measurer = _Measurer(dataset, params, where, parts)
    rows: list[ResultRow] = []
    for morph in morphs:
        units = units_of([morph], params)
        found = measurer.measure(morph, units)
        own = [row for unit in units if unit.width is not None for row in found[unit].rows]
        curve = {row.width: row.accuracy for row in own if row.method == "neumeta"}
        floor = max(row.accuracy for row in found[Unit(seed_of(morph), None)].rows)
        name = f"{where}: sweep of INR seed {seed_of(morph)}"
        check_alive(curve, floor, len(dataset.labels["test"]), name)
        rows += own
    if parts:
        measurer.report("sweep")
    return rows


def sweep_shard(
    morphs: Sequence[MorphableNetwork],
    dataset: Dataset,
    params: SweepParams,
    where: str,
    parts: SweepParts,
    shard: Shard,
) -> None:
    """Measure one share of the parts of a sweep and leave them for `sweep`.

    Args:
        morphs: One per seed.
        dataset: Its test split is used.
        params: The section `sweep`.
        where: Names the experiment in errors and progress lines.
        parts: Where the parts are left; those already there are not measured again.
        shard: Which share.

    Raises:
        UserError: If a width is outside the family.
    """
    check_widths(morphs, params)
    share = shard.of(units_of(morphs, params))
    measurer = _Measurer(dataset, params, where, parts)
    for morph in morphs:
        measurer.measure(morph, [unit for unit in share if unit.seed == seed_of(morph)])
    measurer.report(f"sweep shard {shard.index}/{shard.count}")


def units_of(morphs: Sequence[MorphableNetwork], params: SweepParams) -> list[Unit]:
    """List the parts of a sweep.

    Args:
        morphs: One per seed.
        params: The section `sweep`.

    Returns:
        By seed, the widths in their order and then the bypass floor.
    """
    widths = (*params.widths.values(), None)
    return [Unit(seed_of(morph), width) for morph in morphs for width in widths]


def seed_of(morph: MorphableNetwork) -> int:
    """Read the seed of an INR.

    Args:
        morph: The INR.

    Returns:
        The seed of its training.
    """
    return int(morph.header["seed"])


def check_widths(morphs: Sequence[MorphableNetwork], params: SweepParams) -> None:
    """Look at all widths before any is measured.

    Args:
        morphs: One per seed, of one family.
        params: The section `sweep`.

    Raises:
        UserError: If a width is outside the family.
    """
    for width in params.widths.values():
        at_width(morphs[0].family, width)


class _Measurer:
    """Measures parts; prepares the test set when the first one is missing, once for all INRs."""

    def __init__(
        self, dataset: Dataset, params: SweepParams, where: str, parts: SweepParts | None
    ) -> None:
        self.dataset, self.params, self.where, self.parts = dataset, params, where, parts
        self.measured = self.found = 0
        self._scorer: Scorer | None = None
        self._scores: object = None

    def measure(self, morph: MorphableNetwork, units: Sequence[Unit]) -> Mapping[Unit, Part]:
        """Look parts up, and measure the missing ones."""
        parts = {unit: part for unit in units if self.parts and (part := self.parts.read(unit))}
        missing = [unit for unit in units if unit not in parts]
        label = f"{self.where}: sweep seed {seed_of(morph)}"
        for unit in progress(missing, label, "part", done=len(parts)):
            start = time.perf_counter()
            with products_in(self.params.precision):
                rows = self._rows(morph, unit)
            parts[unit] = Part(rows, time.perf_counter() - start)
            if self.parts:
                self.parts.write(unit, parts[unit])
        self.measured += len(missing)
        self.found += len(units) - len(missing)
        return parts

    def report(self, what: str) -> None:
        """Say how much of the work an earlier run or a shard had done."""
        _log.info(
            "%s: %s: %d parts were there, %d measured", self.where, what, self.found, self.measured
        )

    def _rows(self, morph: MorphableNetwork, unit: Unit) -> tuple[ResultRow, ...]:
        scorer = self._scorer_of(morph)
        if unit.width is None:
            base = morph.family.base
            weights, generated = morph.weights(base, draws=1), morph.family.generated
            floors = [bypass_weights(weights, generated), *idle_weights(weights, generated)]
            return tuple(scorer.row("bypass", base, floor, unit.seed) for floor in floors)
        # Fresh for every width, so that a network depends on its width and the seed alone.
        generator = torch.Generator().manual_seed(self.params.seed)
        at = at_width(morph.family, unit.width)
        averaged = morph.weights(at, draws=self.params.draws, generator=generator)
        exact = morph.weights(at, draws=1)
        return (
            scorer.row("neumeta", at, averaged, unit.seed),
            scorer.row("neumeta-noise-free", at, exact, unit.seed),
        )

    def _scorer_of(self, morph: MorphableNetwork) -> Scorer:
        """Use one scorer for all INRs of one family, because it keeps the test features."""
        scores = (morph.family.header(), morph.header["train_widths"])
        if self._scorer is None or scores != self._scores:
            self._scorer = Scorer(morph.family, self.dataset, morph.card.trained)
            self._scores = scores
        return self._scorer


def inr_files(folder: str | Path) -> list[Path]:
    """List the INRs of an experiment by seed.

    Args:
        folder: Output folder of the train stage.

    Returns:
        Files in the order of their seeds.
    """
    return sorted(Path(folder).glob("seed-*.safetensors"), key=lambda p: int(p.stem.split("-")[1]))
