"""Importance of channels: torch-pruning's groups are ours, its scores are those of the books."""

import pytest
import torch
import torch.nn.functional as F
from torch_pruning import DependencyGraph

from neumeta.core.fields import Criterion
from neumeta.methods.metamorphosis.baselines.channels import keep_top, take_channels
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.baselines.individual import given_network
from neumeta.methods.metamorphosis.baselines.pruning import channel_scores
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
from tests.toy import toy_family

ALL: tuple[Criterion, ...] = ("random", "l1", "l2", "taylor", "hessian")
SOME = ScoringParams.model_validate(SCORING)


def per_channel(examples: Comparison, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Sums of the entries that belong to each channel, over the members of its group."""
    return {
        group.name: torch.stack(
            [
                tensors[name].movedim(axis, 0).reshape(tensors[name].shape[axis], -1).sum(1)
                for name, axis in group.members
            ]
        ).sum(0)
        for group in examples.family.groups
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
    network = given_network(examples, examples.family.base_width, examples.base)
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


@pytest.mark.parametrize(
    "family",
    [toy_family(), *(resnet_family(s) for s in ("last_block", "last_stage", "all_blocks"))],
    ids=["lenet", "last_block", "last_stage", "all_blocks"],
)
def test_the_traced_groups_are_the_clique_groups(family: Family) -> None:
    """torch-pruning finds the same layers, on the same side, as our tables name."""
    examples = examples_of(family, (family.base_width,))
    network = given_network(examples, family.base_width, examples.base)
    graph = DependencyGraph().build_dependency(
        network, family.example_input(2), forward_fn=lambda model, inputs: model(inputs)
    )
    names = {module: name for name, module in network.named_modules()}
    for group in family.groups:
        layer = network.get_submodule(group.name)
        cut = graph.get_pruner_of_module(layer).prune_out_channels
        found = set()
        for dependency, _ in graph.get_pruning_group(layer, cut, [0]):
            if dependency.target.module in names:
                side = 0 if graph.is_out_channel_pruning_fn(dependency.handler) else 1
                found.add((f"{names[dependency.target.module]}.weight", side))
        assert found == {(name, axis) for name, axis in group.members if name.endswith("weight")}


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
    made = keep_top(examples.base, examples.family, scores, examples.skeletons.shapes(2))
    wanted = take_channels(examples.base, examples.family, kept)
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
        made = keep_top(examples.base, examples.family, scores, examples.skeletons.shapes(width))
        assert {name: tuple(v.shape) for name, v in made.items()} == examples.family.shapes(width)
    assert all(torch.equal(made[name], value) for name, value in examples.base.items())


def test_pruning_keeps_the_function_when_the_cut_channels_are_dead() -> None:
    """Channels that are zero everywhere are the first to go, and nobody misses them."""
    examples = lenet_examples()
    weights = {name: value.clone() for name, value in examples.base.items()}
    for group in examples.family.groups:
        for name, axis in group.members:
            dead = torch.arange(0, weights[name].shape[axis], 2)
            weights[name].index_fill_(axis, dead, 0.0)
    examples = Comparison(
        examples.family, weights, examples.dataset, examples.params, examples.widths
    )
    inputs = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    large = given_network(examples, 4, weights)(inputs)
    for criterion in ("l1", "l2"):
        scores = channel_scores(examples, criterion, None)
        made = keep_top(weights, examples.family, scores, examples.skeletons.shapes(2))
        torch.testing.assert_close(given_network(examples, 2, made)(inputs), large)
