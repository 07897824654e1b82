"""The fast code against the literal rendering of Algorithms 2 and 3, with the same noise."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from neumeta.core.reading import parse
from neumeta.data.dataset import Dataset, SplitName, channel_statistics
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.methods.metamorphosis.losses import loss_weights
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.trainer import Configuration, Trainer
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from tests.literal import EXACT, Batch, Draw, LiteralInr, LiteralMlp, Noise, loss_terms, sample
from tests.toy import at, toy_family, toy_params

PUBLISHED = {"jitter": "weight", "origin": "edge", "size": "raw"}
OTHER = {"jitter": "channel", "origin": "centre", "size": "none"}
OCTAVES = {"identity_octaves": 2, "index_octaves": 6, "size_octaves": 1}
NETWORK = {
    "layers": 3,
    "hidden": 32,
    "residual": True,
    "residual_scale": 0.1,
    "arrangement": "block",
}
REACH = 0.5  # half range of the noise, channels


def small_resnet() -> Family:
    settings = {
        "name": "cifar_resnet",
        "depth": 20,
        "scope": "last_block",
        "base_width": 64,
        "min_width": 4,
        "max_width": 64,
    }
    return make_family(settings, {"image_shape": [3, 32, 32], "classes": list("abcdefghij")})


def ordered_resnet() -> Family:
    """With streams of residual blocks whose channels have an order of their own."""
    family = small_resnet()
    assert family.streams
    random = torch.Generator().manual_seed(4)
    return family.with_stream_orders(
        {stream.name: torch.randperm(64, generator=random).tolist() for stream in family.streams}
    )


CASES = [
    pytest.param(toy_family, 3, id="lenet"),
    pytest.param(small_resnet, 9, id="resnet"),
    pytest.param(ordered_resnet, 5, id="ordered"),
]
each_family = pytest.mark.parametrize(("family_of", "width"), CASES)
Maker = Callable[[], Family]


def base_of(family: Family) -> dict[str, Tensor]:
    """Fresh weights, with biases that are not zero, so that every tensor counts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base = parameters_of(family.build(family.base))
        return {
            name: value + 0.1 * torch.randn(value.shape) if name.endswith("bias") else value
            for name, value in base.items()
        }


def encoding_for(coordinates: dict[str, str]) -> dict[str, Any]:
    return OCTAVES | {"blur": 1.5 if coordinates is OTHER else 0.0}


def make(family: Family, coordinates: dict[str, str], **network: Any) -> WeightGenerator:
    settings = {
        "coordinates": coordinates,
        "encoding": encoding_for(coordinates),
        "network": {**NETWORK, **network},
    }
    inr = WeightGenerator(family, settings, torch.Generator().manual_seed(0))
    inr.calibrate(base_of(family))
    return inr


def replay(inr: WeightGenerator, width: int, draws: int, random: torch.Generator) -> list[Draw]:
    """The numbers that the fast code draws from a generator in the same state, draw by draw."""
    if inr.settings["coordinates"]["jitter"] == "channel":
        return replay_channels(inr.family, width, draws, random)
    found: list[dict[str, Noise]] = [{} for _ in range(draws)]
    for bucket in inr.grid(at(width))[0]:
        tensors, rows, _ = bucket.channels.shape
        channels = 2 * torch.rand((tensors, draws, rows, 2), generator=random) - 1
        sizes = 2 * torch.rand((tensors, draws, 2), generator=random) - 1
        for slot, spec in enumerate(bucket.specs):
            for k in range(draws):
                found[k][spec.name] = Noise(channels[slot, k, : spec.rows], sizes[slot, k])
    return list(found)


def replay_channels(family: Family, width: int, draws: int, random: torch.Generator) -> list[Draw]:
    """One number per channel of each clique group: the same in all tensors that hold it."""
    shapes = family.shapes(at(width))
    sizes = [
        next(shapes[name][axis] for name, axis in group.axes if name in family.generated)
        for group in family.groups
    ]
    numbers = 2 * torch.rand((draws, sum(sizes) + 1), generator=random) - 1
    found: list[Draw] = []
    for row in numbers[:, :-1]:
        of_axis = {
            member: values.tolist()
            for group, values in zip(family.groups, row.split(sizes), strict=True)
            for member in group.axes
        }
        draw = {}
        for name in family.generated:
            outs, ins = shapes[name][0], shapes[name][1] if len(shapes[name]) > 1 else 1
            of_out = of_axis.get((name, 0), [0.0] * outs)
            of_in = of_axis.get((name, 1), [0.0] * ins)
            pairs = [[out, into] for out in of_out for into in of_in]
            draw[name] = Noise(torch.tensor(pairs), torch.zeros(2))
        found.append(draw)
    return found


def assert_same(ours: dict[str, Tensor], literal: dict[str, Tensor]) -> None:
    """Equal to 1e-5 of each tensor's largest weight."""
    assert ours.keys() == literal.keys()
    for name, weight in literal.items():
        largest = weight.abs().max().item()
        assert largest > 0, name
        assert (ours[name] - weight).abs().max().item() <= 1e-5 * largest, name


@each_family
@pytest.mark.parametrize("arrangement", ["block", "single"])
@pytest.mark.parametrize("coordinates", [PUBLISHED, OTHER], ids=["published", "other"])
def test_noise_free_weights_are_the_literal_ones(
    family_of: Maker, width: int, arrangement: str, coordinates: dict[str, str]
) -> None:
    inr = make(family_of(), coordinates, arrangement=arrangement)
    with torch.no_grad():
        assert_same(inr.weights(at(width)), LiteralInr(inr).generate(width, REACH, EXACT))


def test_without_residual_weights_are_the_literal_ones() -> None:
    inr = make(toy_family(), PUBLISHED, residual=False)
    with torch.no_grad():
        assert_same(inr.weights(at(3)), LiteralInr(inr).generate(3, REACH, EXACT))


@each_family
@pytest.mark.parametrize("coordinates", [PUBLISHED, OTHER], ids=["published", "other"])
@pytest.mark.parametrize("first_exact", [True, False])
def test_averaged_draws_are_the_literal_ones(
    family_of: Maker, width: int, coordinates: dict[str, str], first_exact: bool
) -> None:
    """Algorithm 3: all K draws at once, against one network per draw."""
    family, draws = family_of(), 4
    inr, base = make(family, coordinates), base_of(family)
    with torch.no_grad():
        random = torch.Generator().manual_seed(5)
        ours = inr.weights(
            at(width), noise=REACH, draws=draws, generator=random, first_exact=first_exact
        )
        exact = inr.weights(at(width))
    noises = replay(inr, width, draws, torch.Generator().manual_seed(5))
    if first_exact:
        noises[0] = EXACT
    network = sample(LiteralInr(inr), base, width, REACH, noises)
    literal = parameters_of(network)
    assert_same({**{n: base[n] for n in literal if n not in ours}, **ours}, literal)
    assert any(not torch.allclose(ours[name], exact[name], rtol=1e-3) for name in ours)


def problem_of(family: Family, width: int, coordinates: dict[str, str]) -> tuple[Problem, Dataset]:
    """One width, every loss term, random images."""
    section: dict[str, Any] = toy_params()["digits-lenet"]["train"]
    section["widths"] = {"start": width, "stop": width, "step": 1}
    section["probe_widths"] = [width]
    section["encoding"], section["network"] = encoding_for(coordinates), NETWORK
    section["coordinates"], section["noise"] = coordinates, REACH
    section["precision"], section["augmentation"] = "float32", None
    section["losses"] |= {"reconstruction": 3.0, "regularisation": 0.01, "distillation": 0.5}
    random = torch.Generator().manual_seed(2)
    shape = family.input_spec["image_shape"]
    classes = tuple(family.input_spec["classes"])
    images: dict[SplitName, Tensor] = {}
    labels: dict[SplitName, Tensor] = {}
    splits: tuple[SplitName, ...] = ("train", "val", "test")
    for split in splits:
        images[split] = torch.randint(256, (40, *shape), generator=random).to(torch.uint8)
        labels[split] = torch.randint(len(classes), (40,), generator=random)
    mean, std = channel_statistics(images["train"], 255)
    data = Dataset("noise", "classification", images, labels, classes, 255, mean, std)
    params = parse(TrainParams, section, "test", "train")
    return make_problem(family, base_of(family), data, params), data


@each_family
@pytest.mark.parametrize("coordinates", [PUBLISHED, OTHER], ids=["published", "other"])
def test_one_training_step_is_the_literal_one(
    family_of: Maker, width: int, coordinates: dict[str, str]
) -> None:
    """Algorithm 2: same width, batch and noise, so the same losses and the same gradients.

    Where rounding puts one input of a ReLU on the other side of zero, gradients make a step: on
    one processor or another that happens to one seed, not to most of them.
    """
    problem, data = problem_of(family_of(), width, coordinates)
    errors = [error_of_a_step(problem, data, width, seed) for seed in (3, 4, 5)]
    assert sorted(errors)[1] <= 1e-5, errors


def error_of_a_step(problem: Problem, data: Dataset, width: int, seed: int) -> float:
    """Hold the losses of one step against the literal ones; see `gradient_error`."""
    trainer = Trainer(problem, seed=seed)
    factors = loss_weights(problem.params.losses, progress=0.0)
    state = trainer.random.get_state()
    terms = trainer._task_terms(Configuration(at(width), problem.params.noise), factors)
    loss = terms.weighted(factors)
    loss.backward()

    random = torch.Generator()
    random.set_state(state)
    count = problem.params.task.batch_size
    chosen = torch.randint(len(problem.train), (count,), generator=random)
    (draw,) = replay(trainer.inr, width, 1, random)
    train = data.split("train")
    literal = LiteralInr(trainer.inr)
    found = loss_terms(
        literal,
        problem.base,
        Batch(width, draw, train.inputs[chosen], train.targets[chosen]),
        problem.family.resample(problem.base, at(width), problem.params.coordinates.origin),
        reach=REACH,
        temperature=problem.params.losses.temperature,
    )
    expected = torch.stack([factors[name] * term for name, term in found.items()]).sum()
    expected.backward()

    assert terms.named().keys() == found.keys()
    for name, term in terms.named().items():
        assert term.item() == pytest.approx(found[name].item(), rel=1e-5), name
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    return gradient_error(trainer.inr, literal)


def gradient_error(inr: WeightGenerator, literal: LiteralInr) -> float:
    """Largest difference of any gradient, as a share of the largest of its layer."""
    worst = 0.0
    for index, mlp in enumerate(literal.mlps):
        assert isinstance(mlp, LiteralMlp)
        for layer, weight in enumerate(mlp.weights):
            ours, theirs = inr.network.weights[layer].grad, weight.grad
            assert ours is not None and theirs is not None
            largest = theirs.abs().max().item()
            assert largest > 0
            worst = max(worst, (ours[index].t() - theirs).abs().max().item() / largest)
    return worst
