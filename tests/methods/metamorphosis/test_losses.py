import pytest
import torch

from neumeta.methods.metamorphosis.losses import (
    LossTerms,
    loss_weights,
    reconstruction_loss,
    regularisation_loss,
)
from neumeta.methods.metamorphosis.params.train import LossParams

PARAMS = LossParams(
    task=1.0, distillation=0.5, temperature=2.0, reconstruction=8.0, fade=0.5, regularisation=0.1
)


def test_reconstruction_is_relative_and_a_mean_over_tensors() -> None:
    target = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([0.1])}
    made = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([0.0])}
    assert reconstruction_loss(made, target).item() == pytest.approx(0.5)
    zero = {name: torch.zeros_like(value) for name, value in target.items()}
    assert reconstruction_loss(zero, target).item() == pytest.approx(1.0)


def test_regularisation_is_the_sum_of_unsquared_norms() -> None:
    made = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([-2.0])}
    assert regularisation_loss(made).item() == pytest.approx(7.0)


def test_the_anchor_fades_to_zero_and_the_others_stay() -> None:
    assert [loss_weights(PARAMS, p)["reconstruction"] for p in (0.0, 0.25, 0.5, 1.0)] == [
        8,
        4,
        0,
        0,
    ]
    assert {loss_weights(PARAMS, p)["task"] for p in (0.0, 0.5, 1.0)} == {1.0}


def test_terms_are_weighted_by_name() -> None:
    terms = LossTerms(task=torch.tensor(2.0), regularisation=torch.tensor(10.0))
    assert terms.weighted(loss_weights(PARAMS, 0.0)).item() == pytest.approx(2 + 1)
