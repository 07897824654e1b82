"""What both sides work on: ResNet-20 whose last block morphs, and random images."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neumeta.core.fields import Precision
from neumeta.core.reading import load_value, parse
from neumeta.data.dataset import Dataset, SplitName, channel_statistics
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from tests.toy import ROOT

IMAGE_SHAPE = (3, 32, 32)
CLASSES = tuple(f"class {number}" for number in range(10))
FAMILY = {
    "name": "cifar_resnet",
    "depth": 20,
    "scope": "last_block",
    "base_width": 64,
    "min_width": 4,
    "max_width": 64,
}
WIDTH = 48  # h of every measurement, channels
OTHER_WIDTH = 47  # where a network switches to, and back; of nearly the same size
WIDTHS_PER_SWEEP = 49  # 16..64, as the paper tests
BANK_IMAGES = 270_000  # six views of 45,000 images, whose features a training computes once
STEPS_PER_BANK = 4_800  # task steps of one INR
NOISE = 0.5  # half range a, channels


@dataclass(frozen=True)
class Size:
    """How large the work is.

    Attributes:
        images: Test images of the sweep.
        train_images: Images from which the steps draw.
        batch: Examples per training step.
        layers: Hidden layers of the INR.
        hidden: Units per hidden layer.
        octaves: Frequencies of every coordinate.
        matmuls: Sides of the matrix products that measure the peak.
    """

    images: int = 10_000
    train_images: int = 2_000
    batch: int = 128
    layers: int = 5
    hidden: int = 256
    octaves: int = 16
    matmuls: tuple[int, ...] = (512, 1024, 2048, 4096)


TINY = Size(
    images=12, train_images=16, batch=4, layers=2, hidden=8, octaves=2, matmuls=(32,)
)  # shows that everything runs; its times mean nothing


@dataclass(frozen=True)
class Case:
    """The work itself.

    Attributes:
        size: How large it is.
        family: The networks.
        base: Parameters of the base network by name.
        data: Random images and labels.
    """

    size: Size
    family: Family
    base: dict[str, Tensor]
    data: Dataset


def make_case(size: Size) -> Case:
    """Draw images and a base network; times depend on shapes alone."""
    torch.manual_seed(0)
    counts: dict[SplitName, int] = {"train": size.train_images, "val": 4, "test": size.images}
    images = {
        split: torch.randint(256, (count, *IMAGE_SHAPE), dtype=torch.uint8)
        for split, count in counts.items()
    }
    labels = {split: torch.randint(len(CLASSES), (count,)) for split, count in counts.items()}
    mean, std = channel_statistics(images["train"], 255)
    data = Dataset("noise", "classification", images, labels, CLASSES, 255, mean, std)
    family = make_family(FAMILY, data.input_spec())
    return Case(size, family, parameters_of(family.build(family.base)), data)


def train_params(size: Size, precision: Precision) -> TrainParams:
    """Parameters of a training at the width of the benchmarks, with every loss term."""
    section: dict[str, Any] = load_value("digits-lenet.train", ROOT / "params.yaml")
    never = 10**9
    section["widths"] = {"start": WIDTH, "stop": WIDTH, "step": 1}
    section["probe_widths"] = [WIDTH]
    section["coordinates"] = {"jitter": "weight", "origin": "edge", "size": "raw"}
    section["noise"], section["precision"], section["augmentation"] = NOISE, precision, None
    section["encoding"] = {
        "identity_octaves": size.octaves,
        "index_octaves": size.octaves,
        "size_octaves": size.octaves,
        "blur": 0.0,
    }
    section["optimiser"]["muon_momentum"], section["coarse"], section["draw"] = None, None, "width"
    section["network"] |= {"layers": size.layers, "hidden": size.hidden}
    section["task"] |= {"steps": never, "batch_size": size.batch, "widths_per_step": 1}
    section["losses"] |= {"distillation": 1.0, "reconstruction": 1.0, "regularisation": 1e-4}
    section |= {"validate_every": never, "log_every": never, "save_every": never}
    return parse(TrainParams, section, "benchmark", "train")
