"""What one training step draws."""

from typing import Any

import pytest
import torch
from torch import Tensor

from neumeta.core.reading import parse
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.points import draw_warm
from neumeta.methods.metamorphosis.problem import make_problem
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.models.axes import Point
from neumeta.models.parameters import parameters_of
from tests.toy import at, coarse_train, toy_dataset, toy_family, toy_params


def toy_trainer(section: dict[str, Any]) -> Trainer:
    """A trainer in its task phase."""
    params, family = parse(TrainParams, section, "toy", "train"), toy_family()
    base = parameters_of(family.initialised(at(4), seed=0))
    trainer = Trainer(make_problem(family, base, toy_dataset(), params), seed=3)
    trainer.phase = "task"
    return trainer


def test_coarse_steps_build_trained_widths_and_tell_of_coarser_grids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The noise reaches as far as the cells that are told."""
    trainer = toy_trainer(coarse_train())
    seen: list[tuple[int, float, float]] = []
    weights = trainer.inr.weights

    def spy(point: Point, *, noise: float, coarseness: float, **others: Any) -> dict[str, Tensor]:
        seen.append((point["width"], noise, coarseness))
        return weights(point, noise=noise, coarseness=coarseness, **others)

    monkeypatch.setattr(trainer.inr, "weights", spy)
    for _ in range(200):
        trainer._advance(10**9)
    own = [step for step in seen if step[2] == 1]
    assert 70 <= len(own) <= 130
    assert set(own) == {(3, 0.5, 1.0), (4, 0.5, 1.0)}
    ratios = [(width, width / grid) for width in (3, 4) for grid in (1, 2)]
    told = {(width, 0.4 * ratio, ratio) for width, ratio in ratios}
    assert set(seen) - set(own) == told


def test_every_parameter_has_one_optimiser_and_moves() -> None:
    section = toy_params()["digits-lenet"]["train"]
    section["optimiser"]["muon_momentum"] = 0.9
    trainer = toy_trainer(section)
    before = {name: value.clone() for name, value in trainer.inr.named_parameters()}
    adam, muon = trainer.optimisers
    own = [value for group in adam.param_groups for value in group["params"]]
    pages = [value for group in muon.param_groups for value in group["params"]]
    assert len(pages) == sum(len(weight) for weight in trainer.inr.network.weights[:-1])
    assert {value.data_ptr() for value in own}.isdisjoint(page.data_ptr() for page in pages)
    total = sum(value.numel() for value in trainer.inr.parameters())
    assert sum(value.numel() for value in [*own, *pages]) == total
    trainer._advance(10)
    for name, value in trainer.inr.named_parameters():
        assert not torch.equal(value, before[name]), name


@pytest.mark.parametrize(("draw", "share"), [("width", 1 / 2), ("cell", 16 / 25)])
def test_widths_are_drawn_by_their_number_or_by_their_cells(draw: str, share: float) -> None:
    """Uniform in 1/h: the density of h is 1/h^2, so 3 against 4 is as 16 against 9."""
    section = toy_params()["digits-lenet"]["train"] | {"draw": draw}
    params, random = parse(TrainParams, section, "toy", "train"), torch.Generator().manual_seed(3)
    family = toy_family()
    drawn = [draw_warm(family, params, random).at["width"] for _ in range(4000)]
    assert set(drawn) == {3, 4}
    assert drawn.count(3) / len(drawn) == pytest.approx(share, abs=0.03)
