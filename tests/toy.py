"""Toy data and parameters: the whole pipeline in seconds."""

import contextlib
import re
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from neumeta.core.errors import UserError
from neumeta.data.dataset import Dataset, SplitName, channel_statistics
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.registry import make_family
from neumeta.stages._params_file import load_params
from neumeta.stages._selection import write_selection

ROOT = Path(__file__).parent.parent
LENET = {"name": "lenet", "head": "pooled", "base_width": 4, "min_width": 2, "max_width": 6}
SCHEDULE = {"shape": "one_cycle", "start_divisor": 25.0, "rise": 0.3}
RECIPE = {
    "epochs": 2,
    "batch_size": 32,
    "lr": 5e-3,
    "optimiser": {"name": "adamw", "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0},
    "schedule": SCHEDULE,
}
COARSE: dict[str, Any] = {
    "share": 0.5,
    "widths": {"start": 3, "stop": 4, "step": 1},
    "grids": {"start": 1, "stop": 2, "step": 1},
    "noise": 0.4,
}


def at(width: int) -> Point:
    """A network by its width."""
    return Point.of({"width": width})


def toy_dataset(sizes: tuple[int, int, int] = (96, 32, 48), classes: int = 3) -> Dataset:
    """Images of 8 x 8 pixels in which the class is a bright row: easy to learn, not trivial."""
    generator = torch.Generator().manual_seed(7)
    images: dict[SplitName, torch.Tensor] = {}
    labels: dict[SplitName, torch.Tensor] = {}
    names: tuple[SplitName, ...] = ("train", "val", "test")
    for split, size in zip(names, sizes, strict=True):
        label = torch.arange(size) % classes
        pixels = torch.randint(0, 100, (size, 1, 8, 8), generator=generator)
        pixels[torch.arange(size), 0, 2 * label + 1] += 120
        images[split], labels[split] = pixels.to(torch.uint8), label
    mean, std = channel_statistics(images["train"], 255)
    names_of_classes = tuple(f"row {2 * index + 1}" for index in range(classes))
    return Dataset("toy", "classification", images, labels, names_of_classes, 255, mean, std)


def toy_family(**changes: Any) -> Family:
    """A LeNet family of base width 4 on the toy data."""
    return make_family({**LENET, **changes}, toy_dataset().input_spec())


def trained_toy(steps: int = 60) -> dict[str, torch.Tensor]:
    """A base network of the toy family that has learnt the toy data."""
    network, train = toy_family().initialised(at(4), seed=0), toy_dataset().split("train")
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(train.inputs), train.targets).backward()
        optimiser.step()
    return parameters_of(network)


def toy_params() -> dict[str, Any]:
    """params.yaml with the digits experiment shrunk; the sections and keys are the real ones."""
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    kept = {key: params[key] for key in ("data", "orders", "digits-lenet", "permutation-study")}
    kept["run"] = ["digits-lenet", "permutation-study"]
    kept["orders"] = {"threads": 1, "seeds": [0, 1]}
    study = kept["permutation-study"]
    study["networks"] = ["digits-lenet"]
    study["study"] |= {"experiment": "digits-lenet", "widths": [2, 4], "seeds": [0]}
    study["study"]["threads"] = 1
    study["study"]["change"] = {"task.steps": 20, "warm_start.steps": 40}
    toy = kept["digits-lenet"]
    toy["family"] = dict(LENET)
    toy["fetch"]["recipe"] = dict(RECIPE, epochs=12)
    toy["permute"]["perturbations"] = 2
    toy["train"] |= {
        "widths": {"start": 3, "stop": 4, "step": 1},
        "seeds": [0, 1],
        "encoding": {
            "identity_octaves": 0,
            "index_octaves": 3,
            "size_octaves": 1,
            "blur": 0.0,
        },
        "network": {**toy["train"]["network"], "layers": 3, "hidden": 32},
        "warm_start": {
            "steps": 150,
            "noise": 0.5,
            "lr": 1e-2,
            "schedule": {**SCHEDULE, "rise": 0.1},
        },
        "task": {
            "steps": 60,
            "lr": 5e-3,
            "schedule": SCHEDULE,
            "batch_size": 32,
            "widths_per_step": 1,
        },
        "ema": 0.8,
        "probe_widths": [3, 4],
        "validate_every": 30,
        "log_every": 10,
        "save_every": 7,
    }
    toy["ablate"]["widths"] = [2, 4]
    toy["sweep"] |= {"widths": {"start": 2, "stop": 4, "step": 1}, "draws": 3}
    toy["merge"] |= {"widths": {"start": 2, "stop": 4, "step": 1}, "images": 64}
    toy["baselines"] = {
        "threads": 1,
        "widths": {"start": 2, "stop": 4, "step": 1},
        "origin": "edge",
        "individual": {"widths": [3], "seeds": [0, 1], "trains": "generated", "recipe": RECIPE},
        "distilled": None,
        "slimmable": None,
        "integral": None,
        "pruned": {
            "criteria": ["l1"],
            "widths": [3],
            "seeds": [0],
            "trains": "generated",
            "recipe": RECIPE,
        },
    }
    return kept


def coarse_train(**changes: Any) -> dict[str, Any]:
    """The toy section `train` with coarse steps."""
    train = toy_params()["digits-lenet"]["train"]
    coordinates = {"jitter": "channel", "origin": "centre", "size": "none"}
    encoding = train["encoding"] | {"blur": 1.0}
    return train | {"coordinates": coordinates, "encoding": encoding, "coarse": COARSE} | changes


def shipped_params() -> str:
    """The text of params.yaml with the list of runs that the project comes with.

    `neumeta use` may have set another one in the file.
    """
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    return re.sub(r"^run:.*$", "run: [digits-lenet]", text, count=1, flags=re.MULTILINE)


def write_toy_params(folder: Path, params: dict[str, Any] | None = None) -> Path:
    """Write the toy parameters as params.yaml, and what follows from its list of runs."""
    path = folder / "params.yaml"
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(params or toy_params(), stream)
    with contextlib.suppress(UserError):  # some tests write wrong parameters on purpose
        write_selection(path, load_params(path).selected())
    return path
