"""The recipes of CONTRIBUTING.md, carried out in a copy of the project with toys."""

import importlib
import json
import operator
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from neumeta.core.checkpoint import read_checkpoint
from neumeta.models.parts import apply_part
from neumeta.models.registry import make_family
from tests.copied import Project, stages_run
from tests.stages.commands import words_of
from tests.toy import ROOT, toy_params, write_toy_params


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def recipe(title: str) -> str:
    """The text of one recipe."""
    _, found, rest = guide().partition(f"### {title}\n")
    assert found, f"CONTRIBUTING.md has no recipe {title!r}"
    return rest.partition("\n### ")[0].partition("\n## ")[0]


def stripes(folder: Path) -> None:
    """Images of 8 x 8 pixels, whose class is the direction of a stripe."""
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 6)):
        for name in ("across", "down"):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 80, (8, 8), dtype=np.uint8)
                line = slice(None), number % 8
                pixels[line if name == "down" else line[::-1]] = 250
                Image.fromarray(pixels).save(place / f"{number}.png")


# Where each of the ten words stands in the code.
WORDS = {
    "base": ("models.family:Family.base", "training.base_network:train_base"),
    "family, axis, point": ("models.family:Family", "models.axes:Axis", "models.axes:Point"),
    "weight source": ("models.source:WeightSource", "methods.metamorphosis.morph:MorphableNetwork"),
    "INR": ("inr.network:CoordinateNetwork", "methods.metamorphosis.generator:WeightGenerator"),
    "group": ("tracing.groups:Group", "models.traced.plan:make_plan"),
    "order": ("permute.orders:find_orders",),
    "zeroed, channel-constant": ("measure.controls:zeroed", "measure.controls:channel_constant"),
    "job": ("core.jobs:Job", "core.jobs:JobStore", "core.jobs:Shard"),
    "identity": ("core.ledger:identity_of",),
    "twin": ("gate.accept:twin_params", "gate.twins:run_twins"),
}
NAMES = {
    "_KINDS": "models.params:_KINDS",
    "Family": "models.family:Family",
    "TaskName": "data.params:TaskName",
    "Evaluator.measure": "measure.evaluator:Evaluator.measure",
    "Evaluator.row": "measure.evaluator:Evaluator.row",
}


def guide() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def there(place: str) -> bool:
    """Whether the library has what `package.module:Class.member` names."""
    module, _, name = place.partition(":")
    try:
        operator.attrgetter(name)(importlib.import_module(f"neumeta.{module}"))
    except (ImportError, AttributeError):
        return False
    return True


def test_the_map_names_all_packages() -> None:
    rows = re.findall(r"^\| `([^`/]+)(?:/\*)?` \|", guide(), re.MULTILINE)
    packages = {path.parent.name for path in (ROOT / "neumeta").glob("*/__init__.py")}
    assert {*rows} == packages and len(rows) == len({*rows})


def test_the_words_are_those_of_the_code() -> None:
    table = guide().partition("## Words")[2].partition("\n## ")[0]
    words = [row.split("|")[1].strip() for row in table.strip().splitlines()[2:]]
    assert words == [*WORDS]
    assert [place for places in WORDS.values() for place in places if not there(place)] == []


def test_files_and_names_of_the_guide_are_there() -> None:
    quoted = {*re.findall(r"`([^`\n]+)`", guide())}
    files = {
        q for q in quoted if re.fullmatch(r"(neumeta|tests|flows)/\S*|\w+\.(yaml|json|lock)", q)
    }
    assert len(files) > 10
    assert [f for f in sorted(files) if "NAME" not in f and not (ROOT / f).exists()] == []
    names = {q for q in quoted if re.fullmatch(r"_?[A-Z]\w+(\.\w+)?", q)}
    assert names == {*NAMES} and all(map(there, NAMES.values()))


def test_the_guide_is_about_one_page() -> None:
    assert len(guide().splitlines()) <= 110


DATASET = """\
  stripes:
    source: folder
    root: stripes
    val_fraction: 0.25
    split_seed: 0

"""


def test_a_dataset_is_a_section_of_params(project: Project) -> None:
    text = recipe("A dataset")
    assert "`params.yaml`" in text
    stripes(project.folder / "raw/stripes")
    project.insert("params.yaml", "# Orders of channels by every strategy", DATASET)
    place = project.folder / "params.yaml"
    params = place.read_text(encoding="utf-8")
    place.write_text(params.replace("dataset: digits\n", "dataset: stripes\n", 1), encoding="utf-8")
    first, _, second, _, info = project.run(
        "neumeta check",
        "neumeta use digits-lenet",
        "neumeta check",
        "dvc repro data@stripes",
        "neumeta info data/datasets/stripes.safetensors",
        codes=(1, 0, 0, 0, 0),
    )
    assert "does not follow" in first and "good" in second
    described = json.loads(info)
    assert described["classes"] == ["across", "down"]
    assert described["sizes"] == {"train": 18, "val": 6, "test": 12}


PERCEPTRON = '''
"""Two linear layers around a hidden width."""

from torch import nn

from neumeta.models.family import Family, width_axis
from neumeta.models.traced.family import noise_for, traced_once, with_groups
from neumeta.models.traced.plan import Scope


def perceptron_family(settings, input_spec):
    """The family whose hidden units follow the width."""
    channels, height, width = input_spec["image_shape"]

    def make(sizes, norm):
        hidden = sizes.get("1", settings["base_width"])
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, len(input_spec["classes"])),
        )

    family = Family("perceptron", settings, input_spec, (width_axis(settings),))
    found = traced_once(family, Scope(), lambda: (make({}, False), noise_for(family)))
    return with_groups(family, found, make)
'''


def test_a_family_is_a_module_an_entry_and_a_line(project: Project) -> None:
    text = recipe("A family")
    for named in ("neumeta/models/", "params.py", "registry.py"):
        assert named in text
    project.add("neumeta/models/perceptron.py", PERCEPTRON)
    schema = "neumeta/models/params.py"
    project.insert(schema, '"lenet", "cifar_resnet"', '"perceptron", ')
    project.insert(schema, '    "lenet": _Kind', '    "perceptron": _Kind(frozenset()),\n')
    registry = "neumeta/models/registry.py"
    module = "from neumeta.models.perceptron import perceptron_family\n"
    project.insert(registry, "from neumeta.models.resnet18", module)
    project.insert(registry, '    "lenet": lenet', '    "perceptron": perceptron_family,\n')
    place = project.folder / "params.yaml"
    params = place.read_text(encoding="utf-8")
    start = params.index("\ndigits-lenet:")
    section = params[start:].replace("name: lenet ", "name: perceptron ", 1)
    section = section.replace("    head: pooled\n", "", 1).replace("epochs: 25", "epochs: 1", 1)
    section = section.replace("perturbations: 200", "perturbations: 2", 1)
    place.write_text(params[:start] + section, encoding="utf-8")
    use = "neumeta use digits-lenet"
    _, checked, _ = project.run(use, "neumeta check", "dvc repro permute@digits-lenet")
    assert "good" in checked
    folder = project.folder / "data/experiments/digits-lenet"
    facts = json.loads((folder / "permute.json").read_text())
    assert [(group["name"], group["channels"]) for group in facts["groups"]] == [("1", 24)]


NEARNESS = '''\
"""The task of naming a number, where the classes are whole numbers: a regression."""

import torch
import torch.nn.functional as F
from torch import Tensor

from neumeta.tasks.tally import Tally
from neumeta.tasks.task import Metric


def numbers(outputs: Tensor, temperature: float = 1.0) -> Tensor:
    """The expected class index of every example."""
    steps = torch.arange(outputs.shape[1], dtype=outputs.dtype)
    return (outputs / temperature).softmax(1) @ steps


class Nearness:
    """Squared error of the number; the share of examples less than one off decides."""

    name = "nearness"
    metrics = (Metric("near", "share", True), Metric("error", "squared classes", False))

    def target_shape(self, image_shape):
        return ()

    def loss(self, outputs, batch):
        return F.mse_loss(numbers(outputs), batch.targets.float())

    def distance(self, outputs, teacher, temperature):
        return F.mse_loss(numbers(outputs, temperature), numbers(teacher, temperature))

    def tally(self, outputs, batch):
        off = (numbers(outputs) - batch.targets).abs()
        sums = {"near": (off < 1).sum().item(), "error": off.square().sum().item()}
        return Tally(sums, len(batch))

    def values(self, tally):
        return {m.name: tally.number(m.name) / tally.examples for m in self.metrics}
'''


def test_a_task_is_a_module_a_line_and_a_name(project: Project) -> None:
    text = recipe("A task")
    for named in ("neumeta/tasks/", "registry.py", "neumeta/data/params.py"):
        assert named in text
    params = toy_params()
    params["run"] = ["digits-lenet"]
    params["data"]["digits"]["task"] = "nearness"
    params["digits-lenet"]["train"] |= {"seeds": [0]}
    write_toy_params(project.folder, params)
    (refused,) = project.run("neumeta check", codes=(1,))
    assert "data.digits.task" in refused and "classification" in refused
    project.add("neumeta/tasks/nearness.py", NEARNESS)
    registry = "neumeta/tasks/registry.py"
    imported = "from neumeta.tasks.nearness import Nearness\n"
    project.insert(registry, "from neumeta.tasks.task", imported)
    project.replace(registry, "Classification()}", "Classification(), Nearness.name: Nearness()}")
    project.replace(
        "neumeta/data/params.py", 'Literal["classification"', 'Literal["classification", "nearness"'
    )
    stages = ("data", "fetch", "permute", "train")
    inr = "data/experiments/digits-lenet/inr/seed-0.safetensors"
    evaluate = f"neumeta evaluate {inr} --width 3 4 --dataset data/datasets/digits.safetensors"
    commands = [" ".join(words_of(stage)[2:]) for stage in stages]
    checked, *_, table = project.run("neumeta check", *commands, evaluate)
    assert "good" in checked
    head, *rows = table.splitlines()
    assert head.split()[:3] == ["width", "near", "error"] and [r.split()[0] for r in rows] == [
        "3",
        "4",
    ]
    assert all("%" in row.split()[1] for row in rows)
    folder = project.folder / "data/experiments/digits-lenet"
    curve = pd.read_csv(folder / "base.csv")
    assert curve.loss.iloc[-1] < curve.loss.iloc[0] / 2, "the loss is that of the task"
    weights, header = read_checkpoint(folder / "base.safetensors")
    tensors, facts = read_checkpoint(project.folder / "data/datasets/digits.safetensors")
    assert header["input"]["task"] == facts["task"] == "nearness"
    pixels = tensors["val.images"] / facts["pixel_max"]
    inputs = (pixels - facts["mean"][0]) / facts["std"][0]
    family = make_family(header["family"], header["input"])
    outputs = apply_part(family.skeleton(family.base), weights, inputs)
    numbers = outputs.softmax(1) @ torch.arange(10.0)
    near = ((numbers - tensors["val.labels"]).abs() < 1).float().mean().item()
    assert curve.val_accuracy.iloc[-1] == pytest.approx(near, abs=1e-6), "and so is the score"


PARAMS = '''\
"""Schema of the toy method."""

from pydantic import Field

from neumeta.core.fields import Section
from neumeta.training.params import NetworkSection


class ScaleParams(Section):
    """How much the network is scaled."""

    factor: float = Field(gt=0, description="of every weight")


class Scaled(NetworkSection):
    """A network, and how it is scaled."""

    scale: ScaleParams
'''
SECTIONS = '''\
"""What the toy method brings to params.yaml."""

from neumeta.core.kinds import Kind, Loops, MethodSections, Sections
from neumeta.methods.scaling.params import Scaled


def _loops(name: str, section: Scaled, sections: Sections) -> Loops:
    own = {name: section.dataset}
    return {"networks": own, "scaled": own}


SECTIONS = MethodSections(
    kinds=(Kind("scaled", Scaled, frozenset({"scale"}), _loops, looped=("networks", "scaled")),)
)
'''
STAGE = '''\
"""Stage scale: every weight of the base network times a factor."""

import sys
from collections.abc import Sequence

from neumeta.core.checkpoint import read_checkpoint, write_checkpoint
from neumeta.core.reading import load_section
from neumeta.core.recording import recorded
from neumeta.core.stage import (flags, stage_parser, staged)
from neumeta.methods.scaling.params import ScaleParams


def main(argv: Sequence[str] | None = None) -> int:
    args = flags(argv, stage_parser("scale", "--experiment", "--base", "--out", "--record"))

    def body() -> None:
        params = load_section(ScaleParams, f"{args.experiment}.scale")
        with recorded("scale", args.record, [args.out]):
            weights, header = read_checkpoint(args.base, "network")
            scaled = {name: params.factor * value for name, value in weights.items()}
            write_checkpoint(args.out, scaled, header)

    return staged("scale", body)


if __name__ == "__main__":
    sys.exit(main())
'''
ENTRY = """\
  scale:
    foreach: ${selected.scaled}
    do:
      cmd: >-
        python -m neumeta.stages.scaling.scale --experiment ${key}
        --base data/experiments/${key}/base.safetensors
        --out data/experiments/${key}/scaled.safetensors
        --record data/runs/scale/${key}.run.json
      deps:
        - data/experiments/${key}/base.safetensors
      params:
        - code.json: [scale]
        - ${key}.scale
      outs:
        - data/experiments/${key}/scaled.safetensors
        - data/runs/scale/${key}.run.json: {cache: false}

"""
SECTION = """
digits-scaled:
  dataset: digits
  family: {name: lenet, head: pooled, base_width: 4, min_width: 2, max_width: 6}
  fetch:
    source: train
    seed: 0
    recipe:
      epochs: 1
      batch_size: 64
      lr: 5.0e-3
      optimiser: {name: adamw, beta1: 0.9, beta2: 0.999, weight_decay: 0.0}
      schedule: {shape: one_cycle, start_divisor: 25.0, rise: 0.3}
  scale: {factor: 2.0}
"""


def test_a_method_is_a_folder_a_line_and_its_entries(project: Project) -> None:
    text = recipe("A method")
    for place in ("neumeta/methods/", "neumeta/stages/", "_methods.py", "dvc.yaml", "params.yaml"):
        assert place in text
    for package in ("methods", "stages"):
        project.add(f"neumeta/{package}/scaling/__init__.py", '"""A toy."""\n')
    project.add("neumeta/methods/scaling/params.py", PARAMS)
    project.add("neumeta/methods/scaling/sections.py", SECTIONS)
    project.add("neumeta/stages/scaling/scale.py", STAGE)
    registry = "neumeta/stages/_methods.py"
    project.insert(registry, "from neumeta.training", "from neumeta.methods import scaling\n")
    project.insert(registry, "}\n# A network", '    "scaling": scaling.sections.SECTIONS,\n')
    project.add("neumeta/methods/scaling/__init__.py", "from . import sections\n")
    project.insert("dvc.yaml", "  orders:\n", ENTRY)
    project.add("params.yaml", SECTION)
    repro = "dvc repro scale"
    _, first, second = project.run("neumeta use digits-scaled", repro, repro)
    assert stages_run(first)[-1] == "scale"
    assert stages_run(second) == []
    assert set(json.loads((project.folder / "code.json").read_text())) > {"scale", "train"}
    folder = project.folder / "data/experiments/digits-scaled"
    base, _ = read_checkpoint(folder / "base.safetensors")
    scaled, _ = read_checkpoint(folder / "scaled.safetensors")
    assert all((scaled[name] == 2 * base[name]).all() for name in base)
