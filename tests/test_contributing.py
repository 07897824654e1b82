"""The recipes of CONTRIBUTING.md, carried out in a copy of the project with toys."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
FILES = ("dvc.yaml", "params.yaml", "code.yaml", "requirements.lock", ".dvcignore", ".gitignore")


class Project:
    """A copy of the project that a recipe changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "neumeta", folder / "neumeta", ignore=skip)
        (folder / "data").mkdir()
        shutil.copy(ROOT / "data/selected.json", folder / "data")
        for name in FILES:
            shutil.copy(ROOT / name, folder)

    def add(self, path: str, text: str) -> None:
        """Add to the end of a file, which is made if it is not there."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", encoding="utf-8") as stream:
            stream.write(text)

    def insert(self, path: str, before: str, text: str) -> None:
        """Put text before a line that is there once."""
        place = self.folder / path
        old = place.read_text(encoding="utf-8")
        assert old.count(before) == 1, f"{path}: {before!r}"
        place.write_text(old.replace(before, text + before), encoding="utf-8")

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run `python -m …` in the copy."""
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "NEUMETA_DATA_ROOT": str(self.folder / "raw"),
        }
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    yield Project(tmp_path / "project")


def recipe(title: str) -> str:
    """The text of one recipe."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"### {title}\n")
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
    assert "does not follow" in project.run("neumeta", "check", code=1)
    project.run("neumeta", "use", "digits-lenet")
    assert "good" in project.run("neumeta", "check")
    subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)
    project.run("dvc", "init", "-q")
    project.run("dvc", "repro", "data@stripes")
    described = json.loads(project.run("neumeta", "info", "data/datasets/stripes.safetensors"))
    assert described["classes"] == ["across", "down"]
    assert described["sizes"] == {"train": 18, "val": 6, "test": 12}


PERCEPTRON = '''
"""Two linear layers around a hidden width."""

from torch import nn

from neumeta.models.family import Family, width_axis


def perceptron_family(settings, input_spec):
    """The family whose hidden units follow the width."""
    channels, height, width = input_spec["image_shape"]

    def build(at):
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, at["width"]),
            nn.ReLU(),
            nn.Linear(at["width"], len(input_spec["classes"])),
        )

    return Family("perceptron", settings, input_spec, (width_axis(settings),), build)
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
    section = section.replace("    head: pooled\n", "", 1)
    place.write_text(params[:start] + section, encoding="utf-8")
    project.run("neumeta", "use", "digits-lenet")
    assert "good" in project.run("neumeta", "check")
    subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)
    project.run("dvc", "init", "-q")
    project.run("dvc", "repro", "permute@digits-lenet")
    folder = project.folder / "data/experiments/digits-lenet"
    facts = json.loads((folder / "permute.json").read_text())
    assert [(group["name"], group["channels"]) for group in facts["groups"]] == [("1", 24)]


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
from neumeta.core.stage import flags, recorded, stage_parser, staged
from neumeta.methods.scaling.params import ScaleParams


def main(argv: Sequence[str] | None = None) -> int:
    args = flags(argv, stage_parser("scale", "--experiment", "--base", "--out", "--record"))

    def body() -> None:
        params = load_section(ScaleParams, f"{args.experiment}.scale")
        with recorded("scale", args.record):
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
        --record data/experiments/${key}/scale.run.json
      deps:
        - data/experiments/${key}/base.safetensors
      params:
        - code.json: [scale]
        - ${key}.scale
      outs:
        - data/experiments/${key}/scaled.safetensors
        - data/experiments/${key}/scale.run.json

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
    project.run("neumeta", "use", "digits-scaled")
    subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)
    project.run("dvc", "init", "-q")
    assert "Running stage 'scale@digits-scaled'" in project.run("dvc", "repro", "scale")
    assert "up to date" in project.run("dvc", "repro", "scale")
    assert set(json.loads((project.folder / "code.json").read_text())) > {"scale", "train"}
    from neumeta.core.checkpoint import read_checkpoint

    folder = project.folder / "data/experiments/digits-scaled"
    base, _ = read_checkpoint(folder / "base.safetensors")
    scaled, _ = read_checkpoint(folder / "scaled.safetensors")
    assert all((scaled[name] == 2 * base[name]).all() for name in base)
