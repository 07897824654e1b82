"""Ablations: the INR trained again with a few parameters changed, and scored at a few widths."""

import dataclasses
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from neumeta.core.errors import CollapseError, UserError
from neumeta.core.fields import ScoredSplit
from neumeta.core.progress import progress
from neumeta.data.dataset import Dataset, Split
from neumeta.measure.controls import bypass_floor, check_alive, idle_weights
from neumeta.measure.evaluate import evaluate
from neumeta.methods.metamorphosis.ablation_parts import Part, Parts, Variant
from neumeta.methods.metamorphosis.generator import count_inr_params
from neumeta.methods.metamorphosis.inr_file import write_inr
from neumeta.methods.metamorphosis.morph import MorphableNetwork, load
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.models.family import Family
from neumeta.tasks.registry import task_named
from neumeta.training.features import feature_split, products_in, trunk_part

_log = logging.getLogger("neumeta")


class Ablation:
    """Measures variants on one experiment's base network and data."""

    def __init__(self, family: Family, base: Mapping[str, Tensor], dataset: Dataset) -> None:
        """Prepare nothing yet: where all parts are there, no data are needed.

        Args:
            family: The family that morphs.
            base: Permuted base parameters by name.
            dataset: Train split for training, val split for validation, either of val and test
                for scores.
        """
        self.family = family
        self.base = base
        self.dataset = dataset
        self._data_sha256 = dataset.content_sha256()
        self._problem: Problem | None = None
        self._splits: dict[ScoredSplit, Split] = {}
        self._floors: dict[ScoredSplit, float] = {}

    def measure(self, variants: Iterable[Variant], parts: Parts) -> None:
        """Measure what is missing and keep it; equal trainings run once.

        Args:
            variants: In any order, repeats allowed.
            parts: Where finished parts are found and left.
        """
        missing = {parts.path(v): v for v in variants if parts.read(v) is None}
        # Equal features and equal trainings one after the other: each is made once.
        order = [(_bank(v.train), v.training()) for v in missing.values()]
        banks, trainings = [bank for bank, _ in order], [training for _, training in order]
        todo = sorted(
            missing.values(),
            key=lambda v: (banks.index(_bank(v.train)), trainings.index(v.training())),
        )
        for variant in progress(todo, "ablations", "row"):
            start = time.perf_counter()
            morph = self._trained(variant, parts)
            with products_in(variant.precision):
                part = self._score(variant, morph)
            seconds = time.perf_counter() - start
            parts.write(variant, dataclasses.replace(part, seconds=round(seconds, 2)))

    def _trained(self, variant: Variant, parts: Parts) -> MorphableNetwork:
        """Train the INR unless it is there; a dead one is kept too."""
        path = parts.inr_path(variant)
        if path.exists():
            try:
                return load(path)
            except UserError as error:
                _log.warning("%s; training it again", error)
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
        return load(path)

    def _problem_of(self, params: TrainParams) -> Problem:
        """The data under these parameters; features and teacher are kept while they stay valid."""
        old = self._problem
        if old is None or _bank(old.params) != _bank(params):
            self._problem = old = None  # two banks may not fit into the memory
            self._problem = make_problem(self.family, self.base, self.dataset, params)
            return self._problem
        new = dataclasses.replace(old, params=params, _targets={}, _skeletons=old._skeletons)
        kept = ("teacher_outputs", "bypass_floor")  # cached properties of the data alone
        vars(new).update({name: vars(old)[name] for name in kept if name in vars(old)})
        self._problem = new
        return new

    def _score(self, variant: Variant, morph: MorphableNetwork) -> Part:
        split = self._split(variant.split)
        task, part = task_named(self.dataset.task), trunk_part(self.family)
        curve, floor = {}, self._floor(variant.split)
        for width in variant.widths:
            at = at_width(self.family, width)
            weights = morph.weights(
                at,
                draws=variant.draws,
                noise=variant.noise,
                generator=torch.Generator().manual_seed(variant.sample_seed),
            )
            network = self.family.skeleton(at)
            curve[width] = evaluate(network, weights, split, task, part=part).accuracy
            if width == max(variant.widths):
                for idle in idle_weights(weights, self.family.generated):
                    floor = max(floor, evaluate(network, idle, split, task, part=part).accuracy)
        collapsed = bool(morph.header["collapsed"])
        try:
            check_alive(curve, floor, len(split), "ablate")
        except CollapseError:
            collapsed = True
        return Part(tuple(curve.values()), count_inr_params(morph.inr), collapsed, 0.0)

    def _split(self, name: ScoredSplit) -> Split:
        if name not in self._splits:
            self._splits[name] = feature_split(self.family, self.base, self.dataset.split(name))
        return self._splits[name]

    def _floor(self, name: ScoredSplit) -> float:
        if name not in self._floors:
            task, part = task_named(self.dataset.task), trunk_part(self.family)
            floor = bypass_floor(self.family, self.base, self._split(name), task, part)
            self._floors[name] = floor
        return self._floors[name]


def _bank(params: TrainParams) -> dict[str, Any]:
    """What the features of the training split depend on."""
    return params.model_dump(include={"precision", "augmentation"})
