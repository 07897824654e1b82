"""Weights shared by all widths: slimmable and integral networks."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch.func import functional_call

from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.baselines.integral import sampled, train_integral
from neumeta.methods.metamorphosis.baselines.slimmable import ranked_base, slim, train_slimmable
from neumeta.methods.metamorphosis.params.baselines import IntegralParams, SlimmableParams
from neumeta.models.axes import Point
from neumeta.models.skeletons import Skeletons
from tests.methods.metamorphosis.baselines.toy_examples import (
    TEACHING,
    lenet_examples,
    recipe,
    resnet_examples,
)

CASES = pytest.mark.parametrize("make", [lenet_examples, resnet_examples], ids=["lenet", "resnet"])


def slimmable_params(rescale: bool = False, **changes: float) -> SlimmableParams:
    return SlimmableParams(
        seeds=(0,),
        random_widths=1,
        temperature=1.0,
        rescale=rescale,
        recipe=recipe(**{"steps": 3, **changes}),
    )


def integral_params(losses: Mapping[str, float] = TEACHING, **changes: float) -> IntegralParams:
    section = {"seeds": (0,), "losses": losses, "recipe": recipe(**{"steps": 3, **changes})}
    return IntegralParams.model_validate(section)


def some_inputs(examples: Comparison) -> torch.Tensor:
    return examples.dataset.split("test").inputs[:6]


@CASES
def test_ranking_sorts_by_l1_and_keeps_the_function(make: Callable[[], Comparison]) -> None:
    examples = make()
    ranked = ranked_base(examples)
    for group in examples.groups:
        parts = [ranked[name].movedim(axis, 0) for name, axis in group.axes]
        norms = sum(part.reshape(len(part), -1).abs().sum(1) for part in parts)
        assert isinstance(norms, torch.Tensor)
        assert (norms.diff() <= 0).all()
    network = examples.skeletons.at(examples.family.base)
    before, after = (
        functional_call(network, weights, (some_inputs(examples),))
        for weights in (dict(examples.base), ranked)
    )
    torch.testing.assert_close(after, before)


@CASES
@pytest.mark.parametrize("rescale", [False, True])
def test_smaller_networks_are_prefixes_of_larger_ones(
    make: Callable[[], Comparison], rescale: bool
) -> None:
    examples = make()
    params = slimmable_params(rescale)
    shared = train_slimmable(examples, params, seed=0, label="slimmable")
    full = slim(examples, shared, examples.family.base, rescale)
    assert all(torch.equal(full[name], value) for name, value in shared.items())
    for point in examples.points:
        made = slim(examples, shared, point, rescale)
        assert {n: tuple(v.shape) for n, v in made.items()} == examples.family.shapes(point)
        for name, value in made.items():
            corner = full[name][tuple(slice(0, size) for size in value.shape)]
            morphs = 1 in examples.family.morphing_axes.get(name, ())
            factor = full[name].shape[1] / value.shape[1] if morphs and rescale else 1.0
            assert torch.equal(value, corner * factor)


@CASES
def test_training_moves_what_is_generated_and_nothing_else(make: Callable[[], Comparison]) -> None:
    examples = make()
    start = ranked_base(examples)
    shared = train_slimmable(examples, slimmable_params(), seed=0, label="slimmable")
    knots = train_integral(examples, integral_params(), "edge", seed=0, label="integral")
    for made, before in ((shared, start), (knots, examples.base)):
        moved = {name for name, value in made.items() if not torch.equal(value, before[name])}
        assert moved == set(examples.family.generated)
        assert not any(value.requires_grad for value in made.values())


def test_untrained_knots_are_the_base_network() -> None:
    examples = resnet_examples()
    made = sampled(examples, examples.base, examples.family.base, "centre")
    assert all(torch.equal(made[name], value) for name, value in examples.base.items())


@CASES
def test_the_same_seed_gives_the_same_weights(make: Callable[[], Comparison]) -> None:
    slimmables, integrals = [], []
    for seed in (0, 0, 1):
        examples = make()
        slimmables.append(train_slimmable(examples, slimmable_params(), seed=seed, label="slim"))
        params = integral_params()
        integrals.append(train_integral(examples, params, "edge", seed=seed, label="integral"))
    for first, again, other in (slimmables, integrals):
        assert all(torch.equal(value, again[name]) for name, value in first.items())
        assert not all(torch.equal(value, other[name]) for name, value in first.items())


def test_sandwich_trains_smallest_and_largest_in_every_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examples = resnet_examples()
    asked: list[int] = []
    skeleton = Skeletons.at

    def spy(self: Skeletons, point: Point) -> torch.nn.Module:
        asked.append(point["width"])
        return skeleton(self, point)

    ranked_base(examples)
    monkeypatch.setattr(Skeletons, "at", spy)
    monkeypatch.setattr(Skeletons, "shapes", lambda self, h: self.family.shapes(h))
    train_slimmable(examples, slimmable_params(), seed=0, label="slimmable")
    steps = [asked[start : start + 3] for start in range(0, len(asked), 3)]
    assert len(steps) == 3
    assert all(step[:2] == [64, 16] and step[2] in (16, 40, 64) for step in steps)


def accuracy(examples: Comparison, point: Point, weights: Mapping[str, torch.Tensor]) -> float:
    split = examples.dataset.split("test")
    outputs = functional_call(examples.skeletons.at(point), dict(weights), (split.inputs,))
    return float((outputs.argmax(1) == split.targets).float().mean())


def test_slimmable_training_helps_every_trained_width() -> None:
    """From a fresh base, a hundred steps learn the toy task."""
    examples = lenet_examples()
    params = slimmable_params(steps=100, lr=2e-2)
    shared = train_slimmable(examples, params, seed=0, label="slimmable")
    for point in examples.points:
        assert accuracy(examples, point, slim(examples, shared, point, False)) > 0.8, point


def test_integral_training_helps_every_trained_width() -> None:
    examples = lenet_examples()
    losses = {"task": 1.0, "distillation": 0.0, "temperature": 1.0}
    params = integral_params(losses, steps=100, lr=2e-2)
    knots = train_integral(examples, params, "edge", seed=0, label="integral")
    for point in examples.points:
        assert accuracy(examples, point, sampled(examples, knots, point, "edge")) > 0.8, point
