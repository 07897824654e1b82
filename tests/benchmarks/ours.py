"""The fast side: what the stages `train` and `sweep` do."""

import itertools
from collections.abc import Callable

import torch

from neumeta.core.device import CPU, autocast
from neumeta.core.fields import Precision
from neumeta.measure.evaluator import Evaluator
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.training.features import feature_split
from tests.benchmarks.case import NOISE, OTHER_WIDTH, WIDTH, Case, train_params
from tests.benchmarks.reference import Result
from tests.toy import at


def problem_of(case: Case, precision: Precision) -> Problem:
    """What a training computes once: features of the images and the teacher's answers."""
    params = train_params(case.size, precision)
    problem = make_problem(case.family, case.base, case.data, params)
    _ = problem.train.teacher_outputs
    return problem


def trainer_of(case: Case, precision: Precision) -> Trainer:
    """A trainer in its task phase, with what is computed once."""
    trainer = Trainer(problem_of(case, precision), seed=0)
    trainer.phase = "task"
    return trainer


def one_step(trainer: Trainer) -> None:
    """One training step, as `Trainer.run` takes it."""
    trainer._advance(trainer.problem.params.task.steps)


def morph_of(case: Case, inr: WeightGenerator) -> MorphableNetwork:
    """The INR as users hold it."""
    frozen = {n: w for n, w in case.base.items() if n not in case.family.generated}
    return MorphableNetwork(case.family, inr, frozen, {"noise": NOISE})


def samples_of(case: Case, inr: WeightGenerator, draws: int) -> dict[str, Callable[[], object]]:
    """How users come by a network of another width, by name; a switch goes there and back."""
    morph = morph_of(case, inr)
    network = morph.sample(WIDTH, draws=draws)
    there_and_back = itertools.cycle([OTHER_WIDTH, WIDTH])

    def switch() -> object:
        return morph.switch(network, next(there_and_back), draws=draws)

    def switch_to_kept() -> object:
        return morph.switch(network, next(there_and_back), draws=draws, keep=True)

    return {
        "sample": lambda: morph.sample(WIDTH, draws=draws),
        "switch": switch,
        "switch-kept": switch_to_kept,
    }


def sweep_of(
    case: Case, inr: WeightGenerator, precision: Precision
) -> tuple[Callable[[], object], Callable[[int], Result]]:
    """What a sweep does once, and what it does per width, given K."""
    test = case.data.split("test")
    morph = morph_of(case, inr)
    evaluator = Evaluator(case.family, case.data)

    def once() -> object:
        with autocast(CPU, precision):
            return feature_split(case.family, case.base, test)

    def width(draws: int) -> Result:
        random = torch.Generator().manual_seed(0)
        with autocast(CPU, precision):
            weights = morph.weights(WIDTH, draws=draws, noise=NOISE, generator=random)
            values = evaluator.values(at(WIDTH), weights)
        return values["accuracy"], values["loss"]

    return once, width
