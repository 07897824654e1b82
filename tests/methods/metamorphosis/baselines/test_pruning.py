"""Importance of channels: by the books, and as torch-pruning has it."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch_pruning import DependencyGraph, importance

from neumeta.core.fields import Criterion
from neumeta.methods.metamorphosis.baselines.channels import keep_top, take_channels
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.baselines.individual import given_network
from neumeta.methods.metamorphosis.baselines.pruning import Scores, _gradients, channel_scores
from neumeta.methods.metamorphosis.params.baselines import ScoringParams
from neumeta.models.family import Family
from neumeta.tasks.batch import Batch
from tests.methods.metamorphosis.baselines.toy_examples import (
    SCORING,
    examples_of,
    lenet_examples,
    resnet_examples,
    resnet_family,
)
from tests.toy import at, toy_family

ALL: tuple[Criterion, ...] = ("random", "l1", "l2", "taylor", "hessian")
SOME = ScoringParams.model_validate(SCORING)


def per_channel(examples: Comparison, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Sums of the entries that belong to each channel, over the members of its group."""
    return {
        group.name: torch.stack(
            [
                tensors[name].movedim(axis, 0).reshape(tensors[name].shape[axis], -1).sum(1)
                for name, axis in group.axes
            ]
        ).sum(0)
        for group in examples.groups
    }


def drawn_examples(examples: Comparison) -> list[Batch]:
    """The batches behind the gradients."""
    bank, generator = examples.bank("generated"), torch.Generator().manual_seed(SOME.seed)
    indices = [
        bank.rows(torch.randint(len(bank), (SOME.batch_size,), generator=generator), generator)
        for _ in range(SOME.batches)
    ]
    return [bank.take(index) for index in indices]


def gradients(examples: Comparison, batch: Batch) -> dict[str, torch.Tensor]:
    """Of the mean loss, by plain backward."""
    network = given_network(examples, examples.family.base, examples.base)
    options = {"part": "tail"} if examples.family.has_trunk else {}
    F.cross_entropy(network(batch.inputs.float(), **options), batch.targets).backward()
    found = {name: parameter.grad for name, parameter in network.named_parameters()}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("examples", [lenet_examples(), resnet_examples()], ids=["lenet", "resnet"])
@pytest.mark.parametrize("criterion", ["l1", "l2", "taylor", "hessian"])
def test_scores_by_hand(examples: Comparison, criterion: Criterion) -> None:
    base = {name: examples.base[name] for name in examples.family.generated}
    batches = drawn_examples(examples)
    if criterion == "l1":
        terms = {name: weight.abs() for name, weight in base.items()}
    elif criterion == "l2":
        terms = {name: weight.square() for name, weight in base.items()}
    elif criterion == "taylor":
        found = [gradients(examples, batch) for batch in batches]
        terms = {n: (w * sum(g[n] for g in found)).abs() for n, w in base.items()}
    else:
        singles = [
            gradients(examples, Batch(batch.inputs[k, None], batch.targets[k, None], batch.rows[k]))
            for batch in batches
            for k in range(len(batch))
        ]
        terms = {
            n: w.square() * sum(g[n].square() for g in singles) / SOME.batch_size
            for n, w in base.items()
        }
    scores = channel_scores(examples, criterion, SOME)
    wanted = per_channel(examples, terms)
    assert scores.keys() == wanted.keys()
    for name, score in scores.items():
        torch.testing.assert_close(score, wanted[name], rtol=1e-4, atol=1e-7)


def test_random_scores_follow_the_seed_and_leave_other_randomness_alone() -> None:
    examples = lenet_examples()
    before = torch.random.get_rng_state()
    first, again, other = (channel_scores(examples, "random", None, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, score in first.items():
        assert torch.equal(score, again[name])
        assert not torch.equal(score, other[name])


def scores_of_torch_pruning(examples: Comparison, criterion: Criterion, seed: int) -> Scores:
    """The same scores, by its own tracing and its own sums."""
    network = given_network(examples, examples.family.base, examples.base)
    if criterion in ("taylor", "hessian"):
        parameters = dict(network.named_parameters())
        for name, value in _gradients(examples, criterion, SOME).items():
            parameters[name].grad = value
    options = {"group_reduction": "sum", "normalizer": None, "bias": True}
    importances = {
        "random": importance.RandomImportance(),
        "l1": importance.MagnitudeImportance(p=1, **options),
        "l2": importance.MagnitudeImportance(p=2, **options),
        "taylor": importance.TaylorImportance(**options),
        # Its own accumulate_grad keeps the last example only (1.6.1), so `grad` is filled here.
        "hessian": importance.HessianImportance(**options),
    }
    inputs = examples.family.example_input(2)
    graph = DependencyGraph().build_dependency(network, inputs, forward_fn=lambda net, x: net(x))
    found = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # it draws from the global generator
        for group in examples.groups:
            layer = network.get_submodule(group.name)
            cut = graph.get_pruner_of_module(layer).prune_out_channels
            indices = list(range(graph.get_out_channels(layer)))
            coupled = graph.get_pruning_group(layer, cut, indices)
            found[group.name] = importances[criterion](coupled).detach()
    return found


@pytest.mark.parametrize("criterion", ALL)
@pytest.mark.parametrize(
    "family",
    [
        toy_family(),
        toy_family(base_width=6),
        *(resnet_family(s) for s in ("last_block", "last_stage", "all_blocks")),
        *(resnet_family(s, depth=56) for s in ("last_block", "all_blocks")),
    ],
    ids=["lenet", "wider", "last_block", "last_stage", "all_blocks", "last of 56", "all of 56"],
)
def test_scores_are_those_of_torch_pruning_to_the_bit(family: Family, criterion: Criterion) -> None:
    examples = examples_of(family, (family.base["width"],))
    ours = channel_scores(examples, criterion, SOME, seed=5)
    theirs = scores_of_torch_pruning(examples, criterion, seed=5)
    assert list(ours) == list(theirs)
    for name, score in ours.items():
        assert torch.equal(score, theirs[name]), name


def test_the_highest_scores_stay_in_their_order() -> None:
    examples = lenet_examples()
    scores = {
        "conv1": torch.tensor([0.1, 3.0, 0.2, 2.0]),
        "conv2": torch.arange(8.0),
        "conv3": -torch.arange(16.0),
    }
    kept = {
        "conv1": torch.tensor([1, 3]),
        "conv2": torch.tensor([4, 5, 6, 7]),
        "conv3": torch.arange(8),
    }
    made = keep_top(examples.base, examples.groups, scores, examples.family.sizes(at(2)))
    wanted = take_channels(examples.base, examples.groups, kept)
    assert all(torch.equal(made[name], value) for name, value in wanted.items())
    assert torch.equal(made["conv1.weight"], examples.base["conv1.weight"][[1, 3]])
    assert torch.equal(made["conv2.weight"], examples.base["conv2.weight"][4:][:, [1, 3]])


@pytest.mark.parametrize("criterion", ALL)
def test_pruning_fits_every_width_and_changes_nothing_at_the_base_width(
    criterion: Criterion,
) -> None:
    examples = lenet_examples()
    scores = channel_scores(examples, criterion, SOME)
    for width in (2, 3, 4):
        made = keep_top(examples.base, examples.groups, scores, examples.family.sizes(at(width)))
        assert {name: tuple(v.shape) for name, v in made.items()} == examples.family.shapes(
            at(width)
        )
    assert all(torch.equal(made[name], value) for name, value in examples.base.items())


def test_pruning_keeps_the_function_when_the_cut_channels_are_dead() -> None:
    """Channels that are zero everywhere are the first to go, and nobody misses them."""
    examples = lenet_examples()
    weights = {name: value.clone() for name, value in examples.base.items()}
    for group in examples.groups:
        for name, axis in group.axes:
            dead = torch.arange(0, weights[name].shape[axis], 2)
            weights[name].index_fill_(axis, dead, 0.0)
    examples = dataclasses.replace(examples, base=weights)
    inputs = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    large = given_network(examples, at(4), weights)(inputs)
    for criterion in ("l1", "l2"):
        scores = channel_scores(examples, criterion, None)
        made = keep_top(weights, examples.groups, scores, examples.family.sizes(at(2)))
        torch.testing.assert_close(given_network(examples, at(2), made)(inputs), large)
