"""Synthetic inputs of a report, in the formats of the stages, with numbers like those of digits."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from neumeta.core.records import StageRun
from neumeta.measure.results import RESULT_COLUMNS
from neumeta.methods.metamorphosis.report.inputs import Dataset, Inr, ReportInputs, Variation
from neumeta.report.blocks import Table

BASE_WIDTH = 24


def result_row(
    method: str,
    width: int,
    accuracy: float,
    seed: int | None = None,
    seen: bool | None = None,
    loss: float = 0.1,
) -> dict[str, Any]:
    """One row with the parameters and MACs of a LeNet."""
    return {
        "method": method,
        "width": width,
        "seen": width >= 8 if seen is None else seen,
        "seed": seed,
        "accuracy": accuracy,
        "loss": loss,
        "params": 250 * width**2 + 56 * width + 10,
        "macs": 4000 * width**2,
    }


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A result table of such rows."""
    return pd.DataFrame(rows, columns=list(RESULT_COLUMNS)).astype({"seed": "Int64"})


def digits_like() -> pd.DataFrame:
    """All present methods over widths 4 to 24, seeded."""
    random = np.random.default_rng(0)
    rows = [result_row("base", BASE_WIDTH, 0.9833)]
    for width in range(4, BASE_WIDTH + 1):
        share = (width - 4) / 20
        for seed in range(3):
            jitter = random.normal(0, 0.003)
            rows.append(
                result_row("neumeta", width, 0.9815 - 0.07 * (1 - share) ** 3 + jitter, seed)
            )
            rows.append(
                result_row(
                    "neumeta-noise-free", width, 0.98 - 0.08 * (1 - share) ** 3 + jitter, seed
                )
            )
            jitter = random.normal(0, 0.004)
            rows.append(
                result_row("individual", width, 0.985 - 0.10 * (1 - share) ** 4 + jitter, seed)
            )
        rows.append(result_row("interpolated", width, 0.12 + 0.863 * share**1.5))
        rows.append(result_row("pruned-l1", width, 0.10 + 0.883 * share**2.2))
        rows.append(result_row("bypass", width, 0.1, loss=2.302585))
    for width in (4, 6, 8, 12, 16, 20, 24):
        for seed in range(2):
            accuracy = 0.983 - 0.2 * (1 - (width - 4) / 20) ** 2 + random.normal(0, 0.004)
            rows.append(result_row("pruned-l1-finetuned", width, accuracy, seed))
    return table(rows)


def small() -> pd.DataFrame:
    """Two seeds of NeuMeta and individual networks at widths 6 (never built), 8 and 12."""
    return table(
        [
            result_row("neumeta", 12, 0.96, 1),
            result_row("neumeta", 12, 0.98, 0),
            result_row("neumeta", 8, 0.90, 0),
            result_row("neumeta", 8, 0.94, 1),
            result_row("neumeta", 6, 0.50, 0),
            result_row("individual", 8, 0.91, 0),
            result_row("individual", 8, 0.95, 1),
            result_row("individual", 12, 0.975, 0),
            result_row("individual", 6, 0.99, 0),
            result_row("base", 12, 0.985),
        ]
    )


def base_history() -> pd.DataFrame:
    """Forty epochs of the base network."""
    epochs = np.arange(1, 41)
    return pd.DataFrame(
        {
            "epoch": epochs,
            "loss": 2.3 * np.exp(-epochs / 6) + 0.002,
            "val_accuracy": 0.985 - 0.8 * np.exp(-epochs / 3),
        }
    )


def train_history() -> pd.DataFrame:
    """Both phases of three seeds."""
    random = np.random.default_rng(1)
    rows: list[dict[str, Any]] = []
    for seed in range(3):
        for step in range(20, 601, 20):
            loss = 0.05 * np.exp(-step / 150) * random.uniform(0.8, 1.2) + 1e-4
            rows.append(
                {"seed": seed, "phase": "warm", "step": step, "loss": loss}
                | {"reconstruction": loss, "lr": 2e-3}
            )
        for step in range(20, 1201, 20):
            task = 0.6 * np.exp(-step / 300) * random.uniform(0.7, 1.3) + 0.02
            distillation = 0.8 * np.exp(-step / 350) * random.uniform(0.7, 1.3) + 0.03
            rows.append(
                {
                    "seed": seed,
                    "phase": "task",
                    "step": step,
                    "loss": task + distillation,
                    "task": task,
                    "distillation": distillation,
                    "reconstruction": 2e-4 + 1e-7 * step,
                    "regularisation": 0.0,
                    "lr": 1e-3,
                    "val_accuracy": 0.975 - 0.2 * np.exp(-step / 200) if step % 200 == 0 else None,
                }
            )
    columns = ["seed", "phase", "step", "loss", "task", "distillation", "reconstruction"]
    return pd.DataFrame(rows, columns=[*columns, "regularisation", "lr", "val_accuracy"])


PARAMS: dict[str, Any] = {
    "dataset": "digits",
    "family": {
        "name": "lenet",
        "head": "pooled",
        "base_width": 24,
        "min_width": 2,
        "max_width": 32,
    },
    "fetch": {
        "source": "train",
        "seed": 0,
        "recipe": {"epochs": 40, "batch_size": 64, "lr": 0.003, "weight_decay": 0.0},
    },
    "permute": {"seed": 0, "perturbations": 200, "tolerance": 1e-05},
    "train": {
        "widths": {"start": 8, "stop": 24, "step": 1},
        "seeds": [0, 1, 2],
        "noise": 0.5,
        "encoding": {"index_octaves": 6, "size_octaves": 1},
        "losses": {"task": 1.0, "distillation": 1.0, "reconstruction": 10.0},
        "probe_widths": [8, 12, 16, 20, 24],
    },
    "sweep": {"widths": {"start": 4, "stop": 24, "step": 1}, "draws": 16, "seed": 0},
    "merge": {"widths": {"start": 4, "stop": 24, "step": 1}, "images": 2000, "seed": 0},
    "report": {
        "title": "LeNet on handwritten digits",
        "summary": "A LeNet with channels h, 2h, 4h; widths 4 to 7 are never trained.",
    },
}

PERMUTE: dict[str, Any] = {
    "function_error": 2.1e-06,
    "tolerance": 1e-05,
    "inputs": 189,
    "groups": [
        {"name": name, "channels": channels, "length_before": before, "length_after": after}
        | {"lower_bound": bound}
        for name, channels, before, after, bound in (
            ("conv1", 24, 1619.7, 1242.8, 1240.1),
            ("conv2", 48, 6120.4, 4806.1, 4806.1),
            ("conv3", 96, 9345.0, 7710.2, 7650.0),
        )
    ],
    "total_variation": {
        "before": {"sum": 12000.0, "per_tensor": 1500.0},
        "after": {"sum": 9000.0, "per_tensor": 1125.0},
    },
}
VARIATION = Variation.model_validate_json(json.dumps(PERMUTE))

STAGES = ("data", "fetch", "permute", "train", "sweep", "merge", "baselines", "ablate")
RUN: dict[str, Any] = {"threads": 2, "device": "cpu", "python": "3.11.7", "torch": "2.13.0"}
RUNS = tuple(
    StageRun(stage=stage, seconds=seconds, params={}, **RUN)
    for stage, seconds in (("data", 0.61), ("fetch", 14.2), ("train", 187.4))
)
DIGITS = Dataset(
    name="digits", content_sha256="ab" * 32, sizes={"train": 1069, "val": 188, "test": 540}
)
CIFAR = Dataset(
    name="cifar10", content_sha256="ab" * 32, sizes={"train": 45_000, "val": 5_000, "test": 10_000}
)


def inputs_of(results: pd.DataFrame, **changes: Any) -> ReportInputs:
    """Inputs around a result table; any field may be replaced."""
    fields: dict[str, Any] = {
        "experiment": "digits-lenet",
        "results": results,
        "base_history": base_history(),
        "train_history": train_history(),
        "variation": VARIATION,
        "dataset": DIGITS,
        "runs": RUNS,
        "params": PARAMS,
        "inr": Inr(
            "data/experiments/digits-lenet/inr/seed-0.safetensors",
            values=812_345,
            params=812_337,
            frozen=0,
            stored={seed: 3_249_380 for seed in range(3)},
        ),
    }
    return ReportInputs(**(fields | changes))


def write_safetensors(path: Path, metadata: dict[str, Any], shapes: dict[str, list[int]]) -> None:
    """Write a safetensors file of zeros, byte by byte as its format says."""
    header: dict[str, Any] = {"__metadata__": {"neumeta": json.dumps(metadata)}}
    end = 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


def asked_by_stage(params: dict[str, Any], experiment: str) -> dict[str, dict[str, Any]]:
    """What the record of every stage says that it was asked for."""
    section = params[experiment]
    asked = {stage: {stage: section.get(stage, {})} for stage in STAGES}
    asked["data"] = {"digits": params.get("data", {}).get("digits", {})}
    asked["fetch"] |= {"dataset": "digits", "family": section["family"]}
    return asked


def record_of(stage: str, experiment: str) -> str:
    """Where the record of a stage lies."""
    of_data = "data/runs/data/digits.run.json"
    return of_data if stage == "data" else f"data/runs/{stage}/{experiment}.run.json"


def write_inputs(
    folder: Path, params: dict[str, Any], experiment: str = "digits-lenet"
) -> list[str]:
    """Write every input of the report stage below `folder`, and give the stage's flags."""
    home = folder / "data/experiments" / experiment
    home.mkdir(parents=True)
    results = digits_like()
    ours = results["method"].str.startswith("neumeta")
    parts = {"sweep": results[ours], "baselines": results[~ours], "merge": results[:0]}
    for name, part in parts.items():
        text = part.assign(seen=part["seen"].map({True: "true", False: "false"}))
        text.to_csv(home / f"{name}.csv", index=False)
    base_history().to_csv(home / "base.csv", index=False)
    train_history().to_csv(home / "train.csv", index=False)
    (home / "permute.json").write_text(json.dumps(PERMUTE))
    (folder / "data/datasets").mkdir()
    for stage, asked in asked_by_stage(params, experiment).items():
        run = {"stage": stage, "seconds": 61.2, "revision": None, "params": asked, **RUN}
        record = folder / record_of(stage, experiment)
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps(run))
    costs = folder / record_of("costs", experiment)
    costs.parent.mkdir(parents=True)
    latency = {str(width): 1e-4 * width for width in range(4, 25)}
    costs.write_text(json.dumps({"machine": "cpu, 1 thread", "latency": latency}))
    card: dict[str, Any] = {"kind": "dataset", "name": "digits", "content_sha256": "cd" * 32}
    card["sizes"] = {"train": 1069, "val": 188, "test": 540}
    (folder / "data/datasets/digits.card.json").write_text(json.dumps(card))
    shapes = {"inr.network.weights.0": [3, 5], "inr.network.scales": [2], "inr.scale": [8]}
    shapes |= {"frozen.conv.weight": [7]}
    for seed in range(3):
        write_safetensors(home / f"inr/seed-{seed}.safetensors", {"kind": "inr"}, shapes)
    spelled = {True: "true", False: "false"}
    changes = {column: ablated()[column].map(spelled) for column in ("seen", "collapsed")}
    ablated().assign(**changes).to_csv(home / "ablate.csv", index=False)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    here = f"data/experiments/{experiment}"
    return [
        *("--experiment", experiment),
        *("--base-history", f"{here}/base.csv"),
        *("--permute", f"{here}/permute.json"),
        *("--train-history", f"{here}/train.csv"),
        *("--sweep", f"{here}/sweep.csv"),
        *("--merge", f"{here}/merge.csv"),
        *("--baselines", f"{here}/baselines.csv"),
        *("--costs", record_of("costs", experiment)),
        *("--ablate", f"{here}/ablate.csv"),
        *("--dataset", "data/datasets/digits.card.json"),
        *("--inr", f"{here}/inr"),
        *("--out", f"reports/{experiment}"),
        *("--summary", f"reports/summary/{experiment}.json"),
        *("--runs", *(record_of(stage, experiment) for stage in STAGES)),
    ]


RESNET_WIDTHS = range(16, 65)
CRITERIA = ("random", "l1", "l2", "taylor", "hessian")


def resnet_row(method: str, width: int, accuracy: float, seed: int | None = None) -> dict[str, Any]:
    """One row with the parameters and MACs of a ResNet-20 whose last block has width h."""
    return {
        "method": method,
        "width": width,
        "seen": width >= 32,
        "seed": seed,
        "accuracy": accuracy,
        "loss": 0.4,
        "params": 197_834 + 1153 * width + 64,
        "macs": 31_000_000 + 147_456 * width // 2,
    }


def resnet_like() -> pd.DataFrame:
    """All peers of a ResNet-20 over widths 16 to 64, seeded; the base scores 91.73 %."""
    random = np.random.default_rng(2)
    rows = [resnet_row("base", 64, 0.9173)]

    def add(method: str, width: int, accuracy: float, seeds: int, noise: float) -> None:
        for seed in range(seeds) if seeds else [None]:
            jitter = random.normal(0, noise) if seeds else 0.0
            rows.append(resnet_row(method, width, min(accuracy + jitter, 0.9173), seed))

    for width in RESNET_WIDTHS:
        share = (width - 16) / 48
        add("neumeta", width, 0.914 - 0.022 * (1 - share) ** 3, 3, 0.0006)
        add("neumeta-noise-free", width, 0.9135 - 0.035 * (1 - share) ** 3, 3, 0.0008)
        add("slimmable", width, 0.902 - 0.03 * (1 - share) ** 2, 3, 0.001)
        add("integral", width, 0.907 - 0.09 * (1 - share) ** 3, 3, 0.001)
        add("interpolated", width, 0.55 + 0.3673 * share**0.6, 0, 0.0)
        add("bypass", width, 0.759, 0, 0.0)
        for place, name in enumerate(CRITERIA):
            add(
                f"pruned-{name}",
                width,
                0.66 + 0.02 * place + (0.2573 - 0.02 * place) * share,
                0,
                0.0,
            )
    for width in (16, 24, 32, 40, 48, 56, 64):
        share = (width - 16) / 48
        add("individual", width, 0.915 - 0.008 * (1 - share), 3, 0.001)
        add("individual-distilled", width, 0.9165 - 0.008 * (1 - share), 3, 0.001)
        for place, name in enumerate(CRITERIA):
            finetuned = 0.908 + 0.001 * place - 0.01 * (1 - share)
            add(f"pruned-{name}-finetuned", width, finetuned, 3, 0.0008)
    return table(rows)


ABLATE: dict[str, Any] = {
    "split": "test",
    "widths": [64, 48, 32, 24, 16],
    "seeds": [0, 1, 2],
    "tables": [
        {
            "name": "residual",
            "title": "Residual connections",
            "split": None,
            "reference": "with residual",
            "published_width": 64,
            "change_base": {"task.steps": 600},
            "rows": [
                {"name": "with residual", "change": {}, "sample": None, "published": 91.87},
                {
                    "name": "without residual",
                    "change": {"network.residual": False, "task.steps": 900},
                    "sample": None,
                    "published": 90.18,
                },
            ],
        },
        {
            "name": "noise",
            "title": "Noise of the training",
            "split": "val",
            "reference": None,
            "change_base": {},
            "rows": [
                {"name": name, "change": {}, "sample": None, "published": None}
                for name in ("none", "half an index")
            ],
        },
    ],
}

RESNET_PARAMS: dict[str, Any] = PARAMS | {
    "family": {"name": "cifar_resnet", "depth": 20, "scope": "last_block", "base_width": 64},
    "train": {
        "widths": {"start": 32, "stop": 64, "step": 1},
        "sample_noise": 0.25,
        "warm_start": {"steps": 600},
        "task": {"steps": 1500, "batch_size": 128, "widths_per_step": 1},
    },
    "ablate": ABLATE,
    "report": {
        "title": "ResNet-20 on CIFAR-10",
        "summary": "The hidden channels of the last block morph over h = 32 to 64.",
        "published": {"64": 91.76, "48": 91.32, "32": 90.56, "16": 89.56},
        "published_base": 92.6,
    },
}


def ablation_row(
    table_name: str,
    row: str,
    seed: int,
    width: int,
    accuracy: float,
    *,
    collapsed: bool = False,
    inr_params: int = 1_270_000,
) -> dict[str, Any]:
    """One row of `ablate.csv`."""
    return {
        "table": table_name,
        "row": row,
        "seed": seed,
        "width": width,
        "seen": width >= 32,
        "accuracy": accuracy,
        "inr_params": inr_params,
        "collapsed": collapsed,
    }


def ablated() -> pd.DataFrame:
    """Two tables of two rows and two or three seeds; one seed of one row is dead."""
    rows = []
    for seed in range(3):
        for width, accuracy in ((64, 0.914), (48, 0.912), (32, 0.906), (24, 0.9), (16, 0.88)):
            good, bad = accuracy + 0.001 * seed, accuracy - 0.01 + 0.002 * seed
            dead = seed == 2
            rows.append(ablation_row("residual", "with residual", seed, width, good))
            rows.append(
                ablation_row(
                    "residual",
                    "without residual",
                    seed,
                    width,
                    0.7588 if dead else bad,
                    collapsed=dead,
                )
            )
            if seed < 2:
                rows.append(ablation_row("noise", "none", seed, width, bad))
                rows.append(ablation_row("noise", "half an index", seed, width, good))
    return pd.DataFrame(rows)


def resnet_inputs(**changes: Any) -> ReportInputs:
    """All that a report of a ResNet-20 is made of."""
    fields: dict[str, Any] = {
        "experiment": "cifar10-resnet20",
        "params": RESNET_PARAMS,
        "dataset": CIFAR,
        "ablations": ablated(),
        "inr": Inr(
            "data/experiments/cifar10-resnet20/inr/seed-0.safetensors",
            values=1_467_838,
            params=1_270_000,
            frozen=197_834,
            stored={seed: 5_880_000 for seed in range(3)},
        ),
    }
    return inputs_of(resnet_like(), **(fields | changes))


def plain_rows(made: Table) -> dict[str, list[str]]:
    """Texts of a table without markup and thin spaces: cells by the head of their row."""
    rows = [[Markup(cell).striptags() for cell in row.cells] for row in (*made.rows, *made.foot)]
    return {head: cells for head, *cells in _plain(rows)}


def plain_heads(made: Table) -> list[str]:
    """The heads of its columns, likewise."""
    return _plain([[Markup(head).striptags() for head in made.columns]])[0]


def _plain(rows: list[list[str]]) -> list[list[str]]:
    return [[text.replace("\u202f", " ") for text in row] for row in rows]
