"""Ablations: the INR trained again with a few parameters changed, and scored at a few widths."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neumeta.core.device import autocast
from neumeta.core.errors import CollapseError, UserError
from neumeta.core.fields import ScoredSplit
from neumeta.core.jobs import Job, JobStore
from neumeta.core.shard import Shard
from neumeta.data.dataset import Dataset
from neumeta.measure.controls import check_alive, floors
from neumeta.measure.evaluator import Evaluator
from neumeta.methods.metamorphosis.generator import count_inr_params
from neumeta.methods.metamorphosis.inr_file import write_inr
from neumeta.methods.metamorphosis.morph import MorphableNetwork, load
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.methods.metamorphosis.variants import Line, Outcome, Variant
from neumeta.models.family import Family
from neumeta.models.parameters import place_of

_log = logging.getLogger("neumeta")


class Ablation:
    """Measures variants on one experiment's base network and data."""

    def __init__(self, family: Family, base: Mapping[str, Tensor], dataset: Dataset) -> None:
        """Prepare nothing yet: where everything was measured, no features are needed.

        Args:
            family: The family that morphs.
            base: Permuted base parameters by name.
            dataset: Train split for training, val split for validation, either of val and test
                for scores; lies where the parameters do.
        """
        self.family = family
        self.base = base
        self.dataset = dataset
        self._device = place_of(base)
        self._data_sha256 = dataset.content_sha256()
        self._problem: Problem | None = None
        self._evaluators: dict[ScoredSplit, Evaluator] = {}

    def measure(self, lines: Sequence[Line], store: JobStore[Outcome]) -> list[Outcome]:
        """Measure what is missing and keep it; equal trainings run once.

        Args:
            lines: The rows of the tables.
            store: Where finished variants are found and left.

        Returns:
            One outcome per line.
        """
        jobs, order = self.jobs(lines, store), _by_features([line.variant for line in lines])
        outcomes = dict(zip(order, store.run([jobs[k] for k in order], "row"), strict=True))
        return [outcomes[place] for place in range(len(lines))]

    def measure_shard(self, lines: Sequence[Line], store: JobStore[Outcome], shard: Shard) -> None:
        """Measure one share of the trainings, with all rows of each, and leave it for `measure`.

        Args:
            lines: The rows of the tables.
            store: Where finished variants are found and left.
            shard: Which share.
        """
        jobs, order = self.jobs(lines, store), _by_features([line.variant for line in lines])
        store.run([jobs[k] for k in order], "row", shard=shard)

    def jobs(self, lines: Sequence[Line], store: JobStore[Outcome]) -> list[Job[Outcome]]:
        """List the measurements.

        Args:
            lines: The rows of the tables.
            store: Where INRs are kept.

        Returns:
            One per line; those of equal variants are equal.
        """
        return [
            self.job(f"{line.table}, {line.row}, seed {line.variant.seed}", line.variant, store)
            for line in lines
        ]

    def job(
        self, name: str, variant: Variant, store: JobStore[Outcome], of: Any = None
    ) -> Job[Outcome]:
        """Plan the measurement of a variant.

        Args:
            name: For people.
            variant: What is trained and scored.
            store: Where its INR is kept, for other variants of the same training.
            of: JSON-ready: what else it depends on, beside what all jobs share.

        Returns:
            The job.
        """
        training = [of, variant.training()]
        inr = store.path(training, ".safetensors")

        def run() -> Outcome:
            morph = self._trained(variant, inr)
            with autocast(self._device, variant.precision):
                return self._score(variant, morph)

        return Job(name, [of, variant.settings()], run, together=training)

    def _trained(self, variant: Variant, path: Path) -> MorphableNetwork:
        """Train the INR unless it is there; a dead one is kept too."""
        if path.exists():
            try:
                return load(path, self._device)
            except UserError as error:
                _log.warning("%s; training it again", error)
                path.unlink()
        trainer = Trainer(self._problem_of(variant.train), variant.seed)
        try:
            inr, collapsed = trainer.run(), False
        except CollapseError as error:
            _log.warning("%s; recorded as collapsed", error)
            inr, collapsed = trainer.average, True
        description = {
            "seed": variant.seed,
            "noise": variant.train.sample_noise,
            "train_widths": list(variant.train.widths.values()),
            "data_sha256": self._data_sha256,
            "collapsed": collapsed,
        }
        write_inr(path, inr, self.base, description)
        return load(path, self._device)

    def _problem_of(self, params: TrainParams) -> Problem:
        """The data under these parameters; features and teacher are kept while they stay valid."""
        old = self._problem
        if old is None or _bank(old.params) != _bank(params):
            self._problem = old = None  # the features of both may not fit into the memory
            self._problem = make_problem(self.family, self.base, self.dataset, params)
        else:
            self._problem = dataclasses.replace(old, params=params, _targets={})
        return self._problem

    def _score(self, variant: Variant, morph: MorphableNetwork) -> Outcome:
        evaluator = self._evaluator(variant.split)
        curve, floor = {}, 0.0
        for width in variant.widths:
            at = at_width(self.family, width)
            weights = morph.weights(
                at,
                draws=variant.draws,
                noise=variant.noise,
                generator=torch.Generator().manual_seed(variant.sample_seed),
            )
            curve[width] = evaluator.deciding(at, weights)
            if width == max(variant.widths):
                score = partial(evaluator.deciding, at)
                floor = max(floors(weights, self.family.generated, score))
        collapsed = bool(morph.header["collapsed"])
        try:
            check_alive(curve, floor, len(evaluator), "ablate")
        except CollapseError:
            collapsed = True
        return Outcome(tuple(curve.values()), count_inr_params(morph.inr), collapsed)

    def _evaluator(self, name: ScoredSplit) -> Evaluator:
        if name not in self._evaluators:
            self._evaluators[name] = Evaluator(self.family, self.dataset, name)
        return self._evaluators[name]


def kept_inrs(lines: Sequence[Line], store: JobStore[Outcome]) -> set[Path]:
    """Where the INRs of an ablation lie.

    Args:
        lines: The rows of the tables.
        store: Where they are kept.

    Returns:
        The files.
    """
    return {store.path([None, line.variant.training()], ".safetensors") for line in lines}


def _by_features(variants: Sequence[Variant]) -> list[int]:
    """Places of variants, those of equal features and of equal trainings one after the other."""
    banks = [_bank(variant.train) for variant in variants]
    trainings = [variant.training() for variant in variants]
    places = range(len(variants))
    return sorted(places, key=lambda k: (banks.index(banks[k]), trainings.index(trainings[k])))


def _bank(params: TrainParams) -> dict[str, Any]:
    """What the features of the training split depend on."""
    return params.model_dump(include={"precision", "augmentation"})
