"""Small cases: a LeNet without a trunk, and a ResNet of which only the last block is trained."""

from typing import Any

import torch

from neumeta.core.reading import parse
from neumeta.data.params import AugmentationParams
from neumeta.methods.metamorphosis.baselines.comparison import Comparison
from neumeta.methods.metamorphosis.params.baselines import BaselineParams
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from neumeta.training.params import ExamplesParams, Recipe
from tests.toy import RECIPE, at, toy_dataset, toy_family

AUGMENTATION = AugmentationParams(views=2, pad=1, flip=True, seed=3)
TEACHING = {"task": 1.0, "distillation": 1.0, "temperature": 2.0}
SCORING = {"batches": 2, "batch_size": 5, "seed": 1}
RESNET = {
    "name": "cifar_resnet",
    "depth": 20,
    "scope": "last_block",
    "base_width": 64,
    "min_width": 4,
    "max_width": 64,
}


def resnet_family(scope: str = "last_block", **changes: Any) -> Family:
    """A ResNet-20 on the toy data."""
    return make_family({**RESNET, "scope": scope, **changes}, toy_dataset().input_spec())


def examples_of(family: Family, widths: tuple[int, ...], **settings: Any) -> Comparison:
    """Examples of the toy data, and a base network of fresh weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        base = parameters_of(family.build(family.base))
    params = ExamplesParams(**{"precision": "float32", "augmentation": None, **settings})
    points = tuple(at(width) for width in widths)
    return Comparison(family, base, toy_dataset(), params, points)


def lenet_examples() -> Comparison:
    """Base width 4, trained at 3 and 4."""
    return examples_of(toy_family(), (3, 4))


def resnet_examples() -> Comparison:
    """Base width 64, trained at 16 to 64, in two views and the precision of big experiments."""
    return examples_of(
        resnet_family(), (16, 40, 64), precision="bfloat16", augmentation=AUGMENTATION
    )


def recipe(**changes: Any) -> Recipe:
    """A few steps; `steps` takes the place of `epochs`."""
    settings = {**RECIPE, **changes}
    if "steps" in changes:
        del settings["epochs"]
    return parse(Recipe, settings, "toy", "recipe")


def every_kind(widths: dict[str, int], some: list[int]) -> BaselineParams:
    """A section in which every kind is asked for, with one step of training each."""
    short = {**RECIPE, "steps": 2, "epochs": None}
    fresh = {"widths": some, "seeds": [0], "trains": "generated", "recipe": short}
    section = {
        "widths": widths,
        "origin": "edge",
        "pruned": {
            "criteria": ["random", "l1", "l2", "taylor", "hessian"],
            "scoring": SCORING,
            "random_seeds": [0, 1],
            "widths": some,
            "seeds": [0],
            "trains": "generated",
            "recipe": short,
        },
        "individual": fresh,
        "distilled": {**fresh, "losses": TEACHING},
        "slimmable": {
            "seeds": [0],
            "random_widths": 1,
            "temperature": 1.0,
            "rescale": False,
            "recipe": short,
        },
        "integral": {"seeds": [0], "losses": TEACHING, "recipe": short},
    }
    return parse(BaselineParams, section, "toy", "baselines")
