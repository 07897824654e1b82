"""What shrinking keeps, without labels or training: tables of two public networks.

Run by `python -m tests.benchmarks.shrinking resnet20` or `… efficientnet`, in the root of the
project; it reads $NEUMETA_DATA_ROOT and $NEUMETA_CHECKPOINT_ROOT. Settings were chosen on
validation images; the test images are looked at by this script alone.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neumeta.core.reading import PARAMS_FILE, parse, read_yaml
from neumeta.data.dataset import Split
from neumeta.data.params import DataParams
from neumeta.data.sources import load_dataset
from neumeta.models.architectures import build_for
from neumeta.models.cost import count_macs, count_params
from neumeta.models.fitting import named_by_order, put_weights
from neumeta.models.shrink.shrink import Shrinker
from neumeta.models.traced.builder import builder
from neumeta.models.weights_file import read_weights

METHODS: dict[str, dict[str, Any]] = {
    "l1, statistics": {"method": "l1"},
    "merge, statistics": {"refit": False},
    "merge, layers fitted anew": {},
}
WEIGHTS = {
    "resnet20": "cifar10/resnet20-12fca82f.th",
    "efficientnet": "imagenet/efficientnet-lite0-57934424.pth",
}


def answers(network: nn.Module, images: Tensor) -> Tensor:
    """The classes that a network sees, in batches."""
    with torch.no_grad():
        return torch.cat([network(batch).argmax(1) for batch in images.split(50)])


def table(
    network: nn.Module,
    images: Tensor,
    test: Split,
    widths: Mapping[float, str],
    settings: Mapping[str, Any],
) -> None:
    """Print accuracy, agreement and seconds of every method at every width."""
    base = answers(network, test.inputs)
    right = float((base == test.targets).float().mean())
    print(f"base: accuracy {right:.2%}, n = {len(base)}; load {os.getloadavg()[0]:.1f}")
    one = test.inputs[:1]
    for title, how in METHODS.items():
        started = time.perf_counter()
        prepared = Shrinker.prepare(network, images, **{**settings, **how})
        looked = time.perf_counter() - started
        for width, name in widths.items():
            started = time.perf_counter()
            small = prepared.at(width).network
            seconds = looked + time.perf_counter() - started
            found = answers(small, test.inputs)
            print(
                f"{title:26s} {name:12s} accuracy {(found == test.targets).float().mean():7.2%}"
                f"  agreement {(found == base).float().mean():7.2%}"
                f"  parameters {count_params(small) / count_params(network):4.0%}"
                f"  MACs {count_macs(small, one) / count_macs(network, one):4.0%}"
                f"  {seconds:6.1f} s  load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def examples(name: str, part: str) -> tuple[Tensor, Split]:
    """Training images, without their labels, and what is measured on."""
    section = read_yaml(PARAMS_FILE)["data"][name]
    dataset = load_dataset(name, parse(DataParams, section, PARAMS_FILE, f"data.{name}"))
    train = dataset.normalise(dataset.images["train"])
    return train, dataset.split("test" if part == "test" else "val")


def resnet20(weights: Path, part: str) -> None:
    """All blocks of the public ResNet-20 on CIFAR-10."""
    network, _ = build_for("cifar_resnet20", read_weights(weights), str(weights))
    train, test = examples("cifar10-folder", part)
    table(network, train, test, {0.75: "0.75, h = 48", 0.5: "0.5, h = 32"}, {})


def efficientnet(weights: Path, part: str) -> None:
    """All inner channels of EfficientNet-Lite0 on sample pictures of ImageNet."""
    network = builder("timm:tf_efficientnet_lite0")()
    put_weights(network, named_by_order(network, read_weights(weights), str(weights)), str(weights))
    train, test = examples("imagenet-samples", part)
    widths = {0.9: "0.9", 0.75: "0.75", 0.5: "0.5"}
    table(network, train, test, widths, {"batch_size": 40})


if __name__ == "__main__":
    which, part = sys.argv[1], (sys.argv[2:] or ["test"])[0]
    path = Path(os.environ["NEUMETA_CHECKPOINT_ROOT"]) / WEIGHTS[which]
    {"resnet20": resnet20, "efficientnet": efficientnet}[which](path, part)
