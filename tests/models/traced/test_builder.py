"""Networks by a text: of torchvision, of timm, of one's own; and what is said of wrong ones."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from neumeta.core.errors import UserError
from neumeta.models.traced.builder import builder
from tests.extras import by_library

OWN = """
from torch import nn

def small(width=3):
    return nn.Linear(2, width)

def text():
    return "a network"

def torn():
    raise RuntimeError("two\\nlines")

number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module, and one that fails, in the current directory."""
    (tmp_path / "own_networks.py").write_text(OWN)
    (tmp_path / "broken_networks.py").write_text("import a_package_that_is_missing")
    (tmp_path / "odd_networks.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("own_networks", "broken_networks", "odd_networks"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("own")
def test_a_function_of_ones_own() -> None:
    before = list(sys.path)
    network = builder("own_networks:small", {"width": 5})()
    assert isinstance(network, nn.Linear) and network.out_features == 5
    assert not network.training and sys.path == before


@pytest.mark.parametrize("text", by_library(["torchvision:resnet18", "timm:resnet18d"]))
def test_a_network_of_a_library(text: str) -> None:
    network = builder(text, {"num_classes": 7})()
    assert network.fc.out_features == 7  # type: ignore[union-attr]
    assert network is not builder(text)()


def test_nothing_is_downloaded_for_a_segmenter() -> None:
    names = [name for name, _ in builder("torchvision:fcn_resnet50")().named_children()]
    assert names == ["backbone", "classifier"]


WRONG = {
    "resnet18": "must be torchvision:NAME, timm:NAME or package.module:function; did you mean "
    "'torchvision:resnet18'?",
    "torchvision:": "must be torchvision:NAME",
    ":small": "must be torchvision:NAME",
    "torchvision:resnet81": "torchvision has no network 'resnet81'; did you mean 'resnet18'",
    "timm:resnet18e": "timm has no network 'resnet18e'; did you mean 'resnet18'",
    "keras:resnet18": "there is no module 'keras', neither installed nor in the current directory",
    "own_networks.deep:small": "there is no module 'own_networks.deep'",
    "own networks:small": "must be torchvision:NAME",
    "own_networks:smal": "module 'own_networks' has no 'smal'; did you mean 'small'?",
    "own_networks:number": "must be a function that returns a network, not int",
    "broken_networks:small": "importing 'broken_networks' fails: ModuleNotFoundError: No module "
    "named 'a_package_that_is_missing'",
    "odd_networks:small": "importing 'odd_networks' fails: ZeroDivisionError: division by zero",
}


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("text", by_library(WRONG))
def test_what_is_wrong_with_a_text(text: str) -> None:
    with pytest.raises(UserError) as error:
        builder(text)
    assert WRONG[text] in str(error.value) and "\n" not in str(error.value)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("own_networks:text", {}, "own_networks:text: must return a torch.nn.Module, not str"),
        ("own_networks:torn", {}, "building it fails: RuntimeError: two lines"),
        ("own_networks:small", {"size": 1}, "building it fails: TypeError: small() got an unexpec"),
        ("torchvision:resnet18", {"num_clases": 1}, "building it fails: TypeError: ResNet.__init"),
    ],
)
def test_what_is_wrong_with_building(text: str, options: dict[str, int], said: str) -> None:
    build = builder(text, options)
    with pytest.raises(UserError) as error:
        build()
    assert said in str(error.value) and "\n" not in str(error.value)


def test_timm_is_an_extra() -> None:
    """Without timm all else works, and it is said how to install it."""
    code = """
import sys
sys.modules["timm"] = None
from neumeta.models.traced.builder import builder
builder("torchvision:resnet18")()
try:
    builder("timm:resnet18d")
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == 'timm is not installed; pip install "neumeta[timm]"', done.stderr


def test_timm_is_imported_when_it_is_asked_for() -> None:
    code = "import sys, neumeta.models.traced.builder; print('timm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr
