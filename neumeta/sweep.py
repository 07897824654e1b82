"""The width sweep: sample every width, average K draws, score on the test set."""

from collections.abc import Sequence
from pathlib import Path

import torch

from neumeta.dataset import Dataset
from neumeta.evaluate import bypass_weights, check_alive, evaluate
from neumeta.morph import MorphableNetwork
from neumeta.params import SweepParams
from neumeta.progress import progress
from neumeta.results import ResultRow
from neumeta.scorer import Scorer


def sweep(
    morphs: Sequence[MorphableNetwork], dataset: Dataset, params: SweepParams, where: str
) -> list[ResultRow]:
    """Measure every width of every INR, with K draws and noise-free.

    Args:
        morphs: One per seed.
        dataset: Its test split is used.
        params: The section `sweep`.
        where: Names the experiment in errors and progress lines.

    Returns:
        Rows of the methods `neumeta` (K draws) and `neumeta-noise-free` (one exact draw).

    Raises:
        UserError: If a width is outside the family.
        CollapseError: If an INR's whole curve equals the bypass floor.
    """
    for width in params.widths.values():
        morphs[0].family.check_width(width)
    rows: list[ResultRow] = []
    for morph in morphs:
        scorer = Scorer(morph.family, dataset, morph.header["train_widths"])
        seed = int(morph.header["seed"])
        curve: dict[int, float] = {}
        for width in progress(params.widths.values(), f"{where}: sweep seed {seed}", "width"):
            # Fresh for every width, so that a network depends on its width and the seed alone.
            generator = torch.Generator().manual_seed(params.seed)
            averaged = morph.weights(
                width, draws=params.draws, noise=params.noise, generator=generator
            )
            rows.append(scorer.row("neumeta", width, averaged, seed))
            curve[width] = rows[-1].accuracy
            exact = morph.weights(width, draws=1)
            rows.append(scorer.row("neumeta-noise-free", width, exact, seed))
        width = morph.family.base_width
        dead = bypass_weights(morph.weights(width, draws=1), morph.family.generated)
        floor = evaluate(morph.family.skeleton(width), dead, scorer.test, scorer.task).accuracy
        check_alive(curve, floor, len(scorer.test), f"{where}: sweep of INR seed {seed}")
    return rows


def inr_files(folder: str | Path) -> list[Path]:
    """List the INRs of an experiment by seed.

    Args:
        folder: Output folder of the train stage.

    Returns:
        Files in the order of their seeds.
    """
    return sorted(Path(folder).glob("seed-*.safetensors"), key=lambda p: int(p.stem.split("-")[1]))
