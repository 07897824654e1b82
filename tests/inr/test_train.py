"""What one training step draws."""

from typing import Any

import pytest
import torch

from neumeta.inr.problem import make_problem
from neumeta.inr.train import Trainer
from neumeta.models.parameters import parameters_of
from neumeta.params import TrainParams, parse
from tests.toy import toy_dataset, toy_family, toy_params


def test_the_base_share_is_exact_and_the_rest_draws_widths_and_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    section = toy_params()["digits-lenet"]["train"] | {"base_share": 0.5}
    params, family = parse(TrainParams, section, "toy", "train"), toy_family()
    base = parameters_of(family.initialised(4, seed=0))
    trainer = Trainer(make_problem(family, base, toy_dataset(), params), seed=3)
    trainer.phase = "task"
    seen: list[tuple[int, float]] = []
    weights = trainer.inr.weights

    def spy(width: int, *, noise: float, **others: Any) -> dict[str, torch.Tensor]:
        seen.append((width, noise))
        return weights(width, noise=noise, **others)

    monkeypatch.setattr(trainer.inr, "weights", spy)
    for _ in range(200):
        trainer._advance(10**9)
    exact = [width for width, noise in seen if noise == 0]
    assert set(exact) == {4}
    assert 70 <= len(exact) <= 130
    assert {pair for pair in seen if pair[1] > 0} == {(3, 0.5), (4, 0.5)}
