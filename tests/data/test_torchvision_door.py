"""The door to torchvision: it imports beside any torch. Each case needs a fresh process."""

import os
import subprocess
import sys
from pathlib import Path

import torch

# A stand-in for torchvision: like the real one, it attaches a shape rule to `nms` when imported.
ATTACHES = """
import torch

@torch.library.register_fake("torchvision::nms")
def _(dets, scores, iou_threshold):
    return scores.new_empty(0, dtype=torch.long)
"""


def run(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, warnings being errors, with `paths` searched first."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def stand_in(folder: Path, init: str) -> None:
    """Write a package `torchvision` with the three submodules that the door hands on."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(init)
    for name in ("datasets", "models", "transforms"):
        (package / f"{name}.py").write_text("")


def test_installed_torchvision_works() -> None:
    """Data sets, transforms and models of the wheel that is installed, whatever its build."""
    code = """
import gc
import torch
from neumeta.data.torchvision_door import DECLARED, datasets, models, transforms

gc.collect()
data = datasets.FakeData(2, (3, 32, 32), transform=transforms.ToTensor())
image, label = data[0]
assert image.shape == (3, 32, 32), image.shape
assert models.resnet18(num_classes=10).eval()(image[None]).shape == (1, 10)
assert torch.ops.torchvision.nms.default._schema.name == "torchvision::nms"
print("declared" if DECLARED else "loaded")
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    # Declared exactly where the bare import fails.
    bare = run("import torchvision")
    assert done.stdout.strip() == ("loaded" if bare.returncode == 0 else "declared"), bare.stderr


def test_operators_that_load_are_left_alone(tmp_path: Path) -> None:
    """A loadable library in the package: nothing is declared."""
    stand_in(tmp_path, "")
    loadable = next((Path(torch.__file__).parent / "lib").glob("libc10.*"))
    (tmp_path / "torchvision" / "_C.so").symlink_to(loadable)
    code = """
import torch
from neumeta.data import torchvision_door as vision

assert vision.operators_load()
assert vision.DECLARED is None
assert not hasattr(torch.ops.torchvision, "nms")
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_operators_that_do_not_load_are_declared_first(tmp_path: Path) -> None:
    """A library that does not load: the schemas exist before the package runs, and stay."""
    stand_in(tmp_path, ATTACHES)
    (tmp_path / "torchvision" / "_C.so").write_bytes(b"built for another torch")
    assert "torchvision::nms does not exist" in run("import torchvision", tmp_path).stderr
    code = """
import gc
import torch
from neumeta.data import torchvision_door as vision

gc.collect()
assert not vision.operators_load()
for name in ("nms", "qnms"):
    schema = getattr(torch.ops.torchvision, name).default._schema
    assert [argument.name for argument in schema.arguments] == ["dets", "scores", "iou_threshold"]
boxes = torch.empty(5, 4, device="meta")
assert torch.ops.torchvision.nms(boxes, boxes[:, 0], 0.5).shape == (0,)
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_schemas_declared_elsewhere_are_not_declared_twice(tmp_path: Path) -> None:
    """Code that applied the same cure before: importing the door does not clash."""
    stand_in(tmp_path, ATTACHES)
    code = """
import torch

library = torch.library.Library("torchvision", "FRAGMENT")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from neumeta.data import torchvision_door as vision

assert vision.DECLARED is None
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
