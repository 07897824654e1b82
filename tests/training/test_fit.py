"""Descent by epochs or by steps."""

import pytest
import torch
from torch import nn

from neumeta.core.errors import UserError
from neumeta.core.reading import parse
from neumeta.measure.evaluator import validation_on
from neumeta.models.parameters import parameters_of
from neumeta.tasks.batch import Batch
from neumeta.tasks.classification import Classification
from neumeta.training.examples import Examples
from neumeta.training.fit import descend, fit
from neumeta.training.params import Recipe
from tests.toy import RECIPE, at, toy_dataset, toy_family


def recipe(**changes: object) -> Recipe:
    return parse(Recipe, {**RECIPE, **changes}, "toy", "recipe")


def numbered(count: int = 10, views: int = 1) -> Examples:
    """Examples whose inputs are the numbers of their rows."""
    inputs = torch.arange(views * count).float().view(views, count, 1)
    return Examples(inputs, torch.arange(count), "whole")


def batches(settings: Recipe, train: Examples) -> list[Batch]:
    """What a descent sees."""
    seen: list[Batch] = []
    weight = nn.Parameter(torch.ones(()))

    def loss(batch: Batch) -> torch.Tensor:
        seen.append(batch)
        return weight.square()

    descend(
        [weight], train, settings, loss, generator=torch.Generator().manual_seed(0), label="toy"
    )
    return seen


def test_an_epoch_takes_every_example_once() -> None:
    seen = batches(recipe(epochs=2, batch_size=4), numbered())
    assert [len(batch.targets) for batch in seen] == [4, 4, 2] * 2
    for start in (0, 3):
        targets = torch.cat([batch.targets for batch in seen[start : start + 3]])
        assert sorted(targets.tolist()) == list(range(10))
    assert not torch.equal(seen[0].targets, seen[3].targets)


@pytest.mark.parametrize("steps", [1, 3, 4, 7])
def test_steps_end_in_the_middle_of_an_epoch(steps: int) -> None:
    seen = batches(recipe(epochs=None, steps=steps, batch_size=4), numbered())
    longer = batches(recipe(epochs=3, batch_size=4), numbered())
    assert len(seen) == steps
    for batch, other in zip(seen, longer, strict=False):
        assert torch.equal(batch.targets, other.targets)


def test_views_are_mixed_and_targets_follow() -> None:
    seen = batches(recipe(epochs=4, batch_size=4), numbered(views=3))
    rows = torch.cat([batch.rows for batch in seen])
    assert set((rows // 10).tolist()) == {0, 1, 2}
    for batch in seen:
        assert torch.equal(batch.inputs.flatten().long(), batch.rows)
        assert torch.equal(batch.targets, batch.rows % 10)


@pytest.mark.parametrize("changes", [{"steps": 5}, {"epochs": None}])
def test_a_recipe_has_one_length(changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match="give exactly one of epochs and steps"):
        recipe(**changes)


def test_the_curve_is_the_mean_over_examples() -> None:
    losses = iter([4.0, 4.0, 1.0])
    weight = nn.Parameter(torch.zeros(()))
    curve = descend(
        [weight],
        numbered(),
        recipe(epochs=1, batch_size=4),
        lambda batch: weight * 0 + next(losses),
        generator=torch.Generator().manual_seed(0),
        label="toy",
        validate=lambda: 0.25,
    )
    assert [(row.epoch, row.loss, row.val_accuracy) for row in curve] == [(1, 3.4, 0.25)]


def test_fit_learns_the_toy_task() -> None:
    dataset, network = toy_dataset(), toy_family().initialised(at(4), seed=1)
    start = parameters_of(network)
    weights, curve = fit(
        network,
        dataset.split("train"),
        Classification(),
        recipe(epochs=12, lr=1e-2),
        generator=torch.Generator().manual_seed(0),
        validate=validation_on(dataset.split("val"), Classification()),
    )
    assert not any(torch.equal(weights[name], value) for name, value in start.items())
    assert not network.training
    last = curve[-1].val_accuracy
    assert last is not None and last > 0.8
    assert curve[-1].loss < curve[0].loss / 2


def test_validation_leaves_running_statistics_alone() -> None:
    """BatchNorm must neither score nor learn from the validation split's own statistics."""
    dataset = toy_dataset()
    results = []
    for validate in (None, validation_on(dataset.split("val"), Classification())):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 3))
        generator = torch.Generator().manual_seed(0)
        train = dataset.split("train")
        fit(network, train, Classification(), recipe(), generator=generator, validate=validate)
        results.append(network.state_dict())
    plain, validated = results
    assert all(torch.equal(validated[name], value) for name, value in plain.items())
