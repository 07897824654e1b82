"""Made-up results of a study, in the formats of its stages."""

import json
from pathlib import Path
from typing import Any

from neumeta.core.records import read_json
from neumeta.methods.metamorphosis.orders_report.inputs import (
    STRATEGIES,
    NetworkOrders,
    StudyInputs,
    StudyInrs,
)
from tests.toy import toy_params

FACTORS = dict(zip(STRATEGIES, (1.0, 1.01, 0.95, 0.93, 0.9), strict=True))
RUNS = 3


def orders_json(name: str, scale: float = 100.0) -> dict[str, Any]:
    """What the stage `orders` writes: two groups, and a rest that no order changes."""
    groups: list[dict[str, Any]] = [
        {
            "name": f"conv{number}",
            "channels": 8 * number,
            "lower_bound": 0.895 * number * scale,
            "lengths": {
                strategy: [factor * number * scale + jitter(strategy, run) for run in range(RUNS)]
                for strategy, factor in FACTORS.items()
            },
        }
        for number in (1, 2)
    ]
    return {
        "network": name,
        "family": {"name": "lenet"},
        "dataset": name.split("-")[0],
        "origin": "train",
        "accuracy": 0.9173,
        "test_size": 10000,
        "images": 16,
        "tensors": 4,
        "parameters": 12345,
        "pinned": ["is an image", "is an output of the network"],
        "groups": groups,
        "runs": [
            {
                "strategy": strategy,
                "seed": run,
                "variation": scale + sum(g["lengths"][strategy][run] for g in groups),
                "variation_per_tensor": 0.0,
                "function_error": 1e-16,
            }
            for strategy in STRATEGIES
            for run in range(RUNS)
        ],
    }


def jitter(strategy: str, run: int) -> float:
    return 0.5 * run if strategy == "random" else 0.0


def study_json(**accuracies: float) -> dict[str, Any]:
    """What the stage `study` writes; accuracies at width 64 may be given by strategy."""
    rows = [
        {
            "strategy": strategy,
            "seed": seed,
            "width": width,
            "seen": width >= 32,
            "accuracy": accuracies.get(strategy.replace("-", "_"), 0.9)
            - (0.04 if width == 16 else 0)
            + 0.001 * seed,
            "collapsed": False,
            "variation": 1000 * FACTORS[strategy],
        }
        for strategy in STRATEGIES
        for seed in (0, 1, 2)
        for width in (16, 32, 64)
    ]
    return {
        "experiment": "cifar10-resnet20",
        "split": "test",
        "examples": 10000,
        "base_width": 64,
        "train": toy_params()["digits-lenet"]["train"],
        "controls": {"base": 0.9173, "bypass": 0.7611},
        "rows": rows,
    }


def inputs(folder: Path, **accuracies: float) -> StudyInputs:
    """Inputs read from such files."""
    names = ("cifar10-resnet20", "mnist-lenet")
    for name, scale in zip(names, (20000.0, 100.0), strict=True):
        (folder / f"{name}.json").write_text(json.dumps(orders_json(name, scale)))
    given = {"original": 0.90, "layer_2_opt": 0.908, "ours": 0.906} | accuracies
    (folder / "study.json").write_text(json.dumps(study_json(**given)))
    published = {
        "original": {"variation": 58141.8, "accuracy": 91.62},
        "ours": {"variation": 45576.02, "accuracy": 91.87},
    }
    report = {"title": "Orders of <channels>", "published": published, "published_as": "Table 1"}
    return StudyInputs(
        study="permutation-study",
        networks=[read_json(folder / f"{name}.json", NetworkOrders) for name in names],
        inrs=read_json(folder / "study.json", StudyInrs),
        params={"report": report},
    )
