import pytest
import torch
from torch import nn

from neumeta.core.errors import CollapseError
from neumeta.measure.controls import bypass_weights, check_alive, idle_weights
from neumeta.measure.evaluate import evaluate
from neumeta.models.parameters import parameters_of
from neumeta.tasks.classification import Classification
from tests.toy import at, toy_dataset, toy_family


def test_score_does_not_depend_on_the_batch_size() -> None:
    family, split = toy_family(), toy_dataset().split("test")
    network = family.initialised(at(4), seed=0)
    weights = parameters_of(network)
    whole = evaluate(family.skeleton(at(4)), weights, split, Classification())
    parts = evaluate(family.skeleton(at(4)), weights, split, Classification(), batch_size=7)
    with torch.no_grad():
        outputs = network(split.inputs)
    right = (outputs.argmax(1) == split.targets).float().mean().item()
    assert whole.accuracy == parts.accuracy == pytest.approx(right)
    loss = nn.functional.cross_entropy(outputs, split.targets).item()
    assert parts.mean_loss == pytest.approx(loss, rel=1e-5)


def test_bypass_scores_like_the_first_class() -> None:
    family, dataset = toy_family(), toy_dataset()
    weights = parameters_of(family.initialised(at(4), seed=0))
    dead = bypass_weights(weights, family.generated)
    score = evaluate(family.skeleton(at(4)), dead, dataset.split("test"), Classification())
    assert score.accuracy == pytest.approx(1 / 3)
    kept = bypass_weights(weights, ["conv1.weight"])
    assert not kept["conv1.weight"].any()
    assert kept["conv2.weight"] is weights["conv2.weight"]


def test_an_idle_generator_is_blind_to_out_channels_in_channels_or_both() -> None:
    family = toy_family()
    weights = parameters_of(family.initialised(at(4), seed=0))
    blind = ([0], [1], [0, 1])
    for axes, idle in zip(blind, idle_weights(weights, family.generated), strict=True):
        assert idle.keys() == weights.keys()
        for name, value in idle.items():
            if value.ndim == 1:
                assert value is weights[name]
                continue
            assert value.shape == weights[name].shape
            for axis in axes:
                assert torch.equal(value, value.narrow(axis, 0, 1).expand_as(value))
            torch.testing.assert_close(value.mean(axes), weights[name].mean(axes))


def test_collapse_is_told_from_life() -> None:
    with pytest.raises(CollapseError, match="run x: the generator is dead"):
        check_alive({8: 0.1, 16: 0.11}, floor=0.1, examples=10_000, where="run x")
    with pytest.raises(CollapseError):  # within three standard errors of the floor
        check_alive({8: 0.16}, floor=0.1, examples=200, where="run x")
    check_alive({8: 0.1, 16: 0.3}, floor=0.1, examples=200, where="run x")


def test_a_part_that_matters_little_is_not_called_dead() -> None:
    check_alive({32: 0.9992}, floor=0.993, examples=5_000, where="run x")  # less than one point
    with pytest.raises(CollapseError):  # within three standard errors
        check_alive({32: 0.996}, floor=0.993, examples=5_000, where="run x")
    with pytest.raises(CollapseError):  # more than those, but not a tenth of what is left
        check_alive({32: 0.9324}, floor=0.93, examples=10**6, where="run x")


def test_distillation_is_zero_only_for_equal_outputs() -> None:
    outputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    task = Classification()
    assert task.distillation(outputs, outputs, 2.0).item() == pytest.approx(0, abs=1e-6)
    assert task.distillation(outputs, outputs.flip(1), 2.0).item() > 0.01
    expected = (
        (outputs.flip(1) / 2).softmax(1)
        * ((outputs.flip(1) / 2).log_softmax(1) - (outputs / 2).log_softmax(1))
    ).sum(1).mean() * 4
    assert task.distillation(outputs, outputs.flip(1), 2.0).item() == pytest.approx(
        expected.item(), rel=1e-5
    )
