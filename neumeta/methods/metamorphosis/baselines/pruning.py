"""How much each channel of the base network matters, by the criteria of torch-pruning.

torch-pruning traces the network, finds which slices of which layers belong to a channel, and adds
up their importance. Here the sum runs over weights and biases of the whole group, without
normalisation; scores are compared within a group only.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch_pruning import DependencyGraph, importance

from neumeta.core.fields import Criterion
from neumeta.core.progress import progress
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.baselines.individual import given_network
from neumeta.methods.metamorphosis.params.baselines import ScoringParams
from neumeta.tasks.batch import Batch

Scores = dict[str, Tensor]
EXAMPLES_AT_ONCE = 16  # of the per-example gradients; bounds the memory
_SUM = {"group_reduction": "sum", "normalizer": None, "bias": True}


def channel_scores(
    examples: Comparison, criterion: Criterion, scoring: ScoringParams | None, seed: int = 0
) -> Scores:
    """Score the channels of every clique group of the base network.

    `random`: uniform. `l1`, `l2`: sum of |w| or w^2. `taylor`: sum of |w g|, with g the gradient
    of the mean loss (Molchanov et al. 2019). `hessian`: sum of w^2 h, with h the mean square of
    the gradients of single examples (LeCun et al. 1989, "Optimal brain damage").

    Args:
        examples: Base network and training examples.
        criterion: Which score.
        scoring: Examples of the gradients; only for taylor and hessian.
        seed: Of criterion random.

    Returns:
        Scores per group name, shape (channels,); higher matters more.
    """
    network = given_network(examples, examples.family.base_width, examples.base)
    if criterion in ("taylor", "hessian"):
        assert scoring is not None
        _fill_gradients(examples, network, criterion, scoring)
    importances = {
        "random": importance.RandomImportance(),
        "l1": importance.MagnitudeImportance(p=1, **_SUM),
        "l2": importance.MagnitudeImportance(p=2, **_SUM),
        "taylor": importance.TaylorImportance(**_SUM),
        # Its own accumulate_grad keeps the last example only (1.6.1), so `grad` is filled here.
        "hessian": importance.HessianImportance(**_SUM),
    }
    graph = DependencyGraph().build_dependency(
        network,
        examples.family.example_input(2),
        forward_fn=lambda model, inputs: model(inputs),
    )
    scores = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # torch-pruning draws from the global generator
        for group in examples.family.groups:
            layer = network.get_submodule(group.name)
            cut = graph.get_pruner_of_module(layer).prune_out_channels
            indices = list(range(graph.get_out_channels(layer)))
            coupled = graph.get_pruning_group(layer, cut, indices)
            scores[group.name] = importances[criterion](coupled).detach()
    return scores


def _fill_gradients(
    examples: Comparison, network: nn.Module, criterion: Criterion, scoring: ScoringParams
) -> None:
    """Fill `grad` of the generated tensors: mean gradient, or mean square of single ones."""
    bank = examples.bank("generated")
    options = {} if bank.part == "whole" else {"part": bank.part}
    parameters = dict(network.named_parameters())
    generated = {name: parameters[name].detach() for name in examples.family.generated}

    def loss(weights: Scores, inputs: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        outputs = functional_call(network, weights, (inputs,), options)
        return examples.task.loss(outputs, Batch(inputs, targets, rows))

    generator = torch.Generator().manual_seed(scoring.seed)
    for _ in progress(range(scoring.batches), f"{criterion} scores"):
        index = torch.randint(len(bank), (scoring.batch_size,), generator=generator)
        drawn = bank.take(bank.rows(index, generator))
        batch = replace(drawn, inputs=drawn.inputs.float())
        measure = _mean_gradient if criterion == "taylor" else _mean_square_gradient
        for name, value in measure(loss, generated, batch).items():
            earlier = parameters[name].grad
            parameters[name].grad = value if earlier is None else earlier + value


def _mean_gradient(loss: Callable[..., Tensor], weights: Scores, batch: Batch) -> Scores:
    """Gradient of the mean loss of a batch."""
    found: Scores = grad(loss)(weights, batch.inputs, batch.targets, batch.rows)
    return found


def _mean_square_gradient(loss: Callable[..., Tensor], weights: Scores, batch: Batch) -> Scores:
    """Mean over the examples of a batch of the squared gradient of each one's loss."""

    def single(*example: Tensor) -> Scores:
        found: Scores = grad(loss)(weights, *(value.unsqueeze(0) for value in example))
        return found

    sums = {name: torch.zeros_like(value) for name, value in weights.items()}
    columns = (batch.inputs, batch.targets, batch.rows)
    for some in zip(*(column.split(EXAMPLES_AT_ONCE) for column in columns), strict=True):
        for name, value in vmap(single)(*some).items():
            sums[name] += value.square().sum(0)
    return {name: value / len(batch) for name, value in sums.items()}
