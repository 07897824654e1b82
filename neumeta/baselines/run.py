"""All baselines of one experiment, on the same data and test set as the INR."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from neumeta.baselines.prune import prune_l1
from neumeta.dataset import Dataset
from neumeta.errors import UserError
from neumeta.evaluate import bypass_weights
from neumeta.fit import fit
from neumeta.interpolate import interpolate_weights
from neumeta.models.family import Family
from neumeta.models.parameters import load_parameters
from neumeta.params import BaselineParams, Recipe, WidthRange
from neumeta.progress import progress
from neumeta.results import ResultRow
from neumeta.scorer import Scorer


class Baselines:
    """What the INR is compared with."""

    def __init__(
        self, base: Mapping[str, Tensor], family: Family, dataset: Dataset, trained: WidthRange
    ) -> None:
        """Prepare the comparison.

        Args:
            base: Permuted base parameters by name.
            family: The family that morphs.
            dataset: Train split for training, test split for scores.
            trained: Widths the INR is trained at, for the column `seen`.
        """
        self.base = dict(base)
        self.family = family
        self.dataset = dataset
        self.train = dataset.split("train")
        self.scorer = Scorer(family, dataset, trained.values())

    def measure(self, params: BaselineParams) -> list[ResultRow]:
        """Measure all baselines.

        Args:
            params: The section `baselines`.

        Returns:
            One row per method, width and seed.

        Raises:
            UserError: If a width is outside the family, or above the base width where that
                cannot be.
        """
        self._check_widths(params)
        rows = [self.scorer.row("base", self.family.base_width, self.base)]
        rows += self._untrained(params)
        rows += self._pruned(params)
        rows += self._individual(params)
        return rows

    def _check_widths(self, params: BaselineParams) -> None:
        """Refuse wrong widths before any work is done."""
        for width in params.individual.widths:
            self.family.check_width(width)
        for width in (*params.widths.values(), *params.pruned.widths):
            self.family.check_width(width)
            if width > self.family.base_width:
                raise UserError(
                    f"baselines: width {width} is above the base width; "
                    f"pruning and interpolation need at most {self.family.base_width}"
                )

    def _untrained(self, params: BaselineParams) -> Iterator[ResultRow]:
        for width in params.widths.values():
            resampled = {**self.base, **interpolate_weights(self.base, self.family, width)}
            yield self.scorer.row("interpolated", width, resampled)
            dead = bypass_weights(resampled, self.family.generated)
            yield self.scorer.row("bypass", width, dead)
            yield self.scorer.row("pruned-l1", width, prune_l1(self.base, self.family, width))

    def _pruned(self, params: BaselineParams) -> Iterator[ResultRow]:
        settings = params.pruned
        jobs = [(width, seed) for width in settings.widths for seed in settings.seeds]
        for width, seed in progress(jobs, "fine-tuning pruned networks", "network"):
            start = prune_l1(self.base, self.family, width)
            yield self._trained("pruned-l1-finetuned", width, seed, settings.recipe, start)

    def _individual(self, params: BaselineParams) -> Iterator[ResultRow]:
        settings = params.individual
        jobs = [(width, seed) for width in settings.widths for seed in settings.seeds]
        for width, seed in progress(jobs, "training individual networks", "network"):
            yield self._trained("individual", width, seed, settings.recipe, None)

    def _trained(
        self,
        method: str,
        width: int,
        seed: int,
        recipe: Recipe,
        start: Mapping[str, Tensor] | None,
    ) -> ResultRow:
        network = self.family.initialised(width, seed)
        if start is not None:
            network = load_parameters(network, start)
        weights, _ = fit(
            network,
            self.train,
            self.scorer.task,
            recipe,
            generator=torch.Generator().manual_seed(seed),
            label=f"{method} h={width} seed {seed}",
        )
        return self.scorer.row(method, width, weights, seed)
