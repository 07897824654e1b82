"""Who may import whom: the library knows no orchestrator, the orchestrator no library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = "methods/*/*report"  # the pages that a method writes with the kit of `report`
# A module imports from its own package and from those on its left.
LAYERS = (
    *(
        "core",
        "data",
        "tasks",
        "tracing",
        "models",
        "permute",
        "training",
        "measure",
        "inr",
        "methods",
    ),
    *("report", PAGES, "gate", "stages"),
)


def imported(source: str, package: str) -> set[str]:
    """Full names of all that a module imports, wherever in it, also by `import_module("name")`.

    Args:
        source: Text of the module.
        package: Dotted name of the package it lies in, for relative imports.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            start = ".".join(filter(None, [base, node.module]))
            names |= {f"{start}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in {"import_module", "__import__"}:
                names.add(str(node.args[0].value))
    return names


def imports_any(source: str, package: str, modules: tuple[str, ...]) -> list[str]:
    """Those imports of a module that are one of `modules` or lie inside one."""
    names = imported(source, package)
    return sorted(n for n in names for m in modules if n == m or n.startswith(f"{m}."))


def offences(folder: str, modules: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Files of a folder that import one of `modules`, with what they import."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"no modules under {folder}/"
    for file in files:
        where = file.relative_to(ROOT)
        if found := imports_any(file.read_text(), ".".join(where.parent.parts), modules):
            yield where.as_posix(), found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch", ["torch"]),
        ("import torch.nn as nn", ["torch.nn"]),
        ("from torch import nn", ["torch.nn"]),
        ("def f():\n    import torch", ["torch"]),
        ("if TYPE_CHECKING:\n    from torch import Tensor", ["torch.Tensor"]),
        ("importlib.import_module('torch.nn')", ["torch.nn"]),
        ("from . import sibling", []),
        ("from ..torch import nn", []),
        ("import torchvision", []),
        ("'import torch'", []),
    ],
)
def test_imports_are_found(source: str, found: list[str]) -> None:
    assert imports_any(source, "flows.deep", ("torch",)) == found


def test_relative_imports_are_resolved() -> None:
    assert imported("from . import a", "neumeta.stages") == {"neumeta.stages.a"}
    assert imported("from ..report import b", "neumeta.stages") == {"neumeta.report.b"}


def test_library_knows_no_orchestrator() -> None:
    assert dict(offences("neumeta", ("prefect", "dvc", "flows"))) == {}


def test_flows_know_no_library() -> None:
    assert dict(offences("flows", ("torch", "torchvision", "neumeta"))) == {}


def test_one_file_of_flows_imports_dvc() -> None:
    assert [file for file, _ in offences("flows", ("dvc",))] == ["flows/dvc_graph.py"]


@pytest.mark.parametrize("folder", ["neumeta", "tests"])
def test_torchvision_has_one_door(folder: str) -> None:
    users = [file for file, _ in offences(folder, ("torchvision",))]
    assert users == (["neumeta/data/torchvision_door.py"] if folder == "neumeta" else [])


@pytest.mark.parametrize("folder", ["neumeta", "tests"])
def test_timm_has_one_door(folder: str) -> None:
    users = [file for file, _ in offences(folder, ("timm",))]
    assert users == (["neumeta/data/timm_door.py"] if folder == "neumeta" else [])


def layer(module: str) -> str:
    """Where a module of neumeta stands; empty for what is none of the layers."""
    parts = module.split(".")
    if parts[1:2] == ["methods"] and parts[3:] and parts[3].endswith("report"):
        return PAGES
    return parts[1] if parts[1:] and parts[1] in LAYERS else ""


def arrows_up(source: str, package: str, module: str) -> list[str]:
    """Imports of a module from layers above its own, and from the top of neumeta."""
    names = {name for name in imported(source, package) if name.split(".")[0] == "neumeta"}
    allowed = LAYERS[: LAYERS.index(layer(module)) + 1]
    return sorted(name for name in names if layer(name) not in allowed)


def other_methods(source: str, package: str) -> list[str]:
    """Imports of a module of one method from other methods."""
    own = ".".join(package.split(".")[:3])
    names = imports_any(source, package, ("neumeta.methods",))
    return [name for name in names if name != own and not name.startswith(f"{own}.")]


def modules(folder: str) -> Iterator[tuple[str, str, str]]:
    """Source, package and dotted name of every module in a folder."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"no modules under {folder}/"
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        yield file.read_text(), ".".join(parts[:-1]), ".".join(parts)


@pytest.mark.parametrize(
    ("source", "module", "found"),
    [
        ("import neumeta.data.dataset", "neumeta.core.files", ["neumeta.data.dataset"]),
        ("from neumeta.core import files", "neumeta.data.dataset", []),
        ("from neumeta.data import dataset", "neumeta.data.sources", []),
        ("from ..stages import x", "neumeta.report.page", ["neumeta.stages.x"]),
        ("from neumeta.report import x", "neumeta.methods.a.morph", ["neumeta.report.x"]),
        ("from neumeta.report import x", "neumeta.methods.a.report.page", []),
        ("from neumeta.report import x", "neumeta.methods.a.orders_report.page", []),
        ("from neumeta.methods.a.report import x", "neumeta.stages.a.report", []),
        ("import neumeta", "neumeta.stages.data", ["neumeta"]),
        ("from neumeta.__main__ import x", "neumeta.stages.data", ["neumeta.__main__.x"]),
    ],
)
def test_arrows_up_are_found(source: str, module: str, found: list[str]) -> None:
    assert arrows_up(source, module.rpartition(".")[0], module) == found


def test_packages_import_downwards_only() -> None:
    upward = {
        module: found
        for source, package, module in modules("neumeta")
        if layer(module) and (found := arrows_up(source, package, module))
    }
    assert upward == {}


def test_core_knows_nothing_of_the_project() -> None:
    above = tuple(f"neumeta.{name}" for name in LAYERS if name != "core")
    assert dict(offences("neumeta/core", above)) == {}


def test_the_kit_of_reports_knows_no_method() -> None:
    """It imports itself, files, records and errors: nothing that any one method brings."""
    found = {
        name
        for source, package, _ in modules("neumeta/report")
        for name in imported(source, package)
        if name.startswith("neumeta")
    }
    core = (f"neumeta.core.{name}" for name in ("errors", "files", "records"))
    allowed = ("neumeta.report", *core)
    assert found and [name for name in sorted(found) if not name.startswith(allowed)] == []


def test_other_methods_are_found() -> None:
    source = "from neumeta.methods.b.params import P\nfrom neumeta.methods.a.params import Q"
    assert other_methods(source, "neumeta.methods.a.report") == ["neumeta.methods.b.params.P"]


def test_no_method_imports_another() -> None:
    found = {
        module: names
        for source, package, module in modules("neumeta/methods")
        if package != "neumeta.methods" and (names := other_methods(source, package))
    }
    assert found == {}


def test_every_module_lies_in_a_layer() -> None:
    found = [(package, module.split(".")[1]) for _, package, module in modules("neumeta")]
    assert {name for package, name in found if package == "neumeta"} == {"__init__", "__main__"}
    assert {name for package, name in found if package != "neumeta"} == set(LAYERS) - {PAGES}


def test_flow_starts_without_torch() -> None:
    """Loading the flow loads neither torch nor the library, also not through a third package."""
    code = """
import sys
import flows.width_report
print(*sorted({"torch", "torchvision", "neumeta"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
