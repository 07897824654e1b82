"""Who may import whom: the library knows no orchestrator, the orchestrator no library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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
    assert users == (["neumeta/vision.py"] if folder == "neumeta" else [])


def test_library_imports_no_stage() -> None:
    """Stages and the command stand on top: nothing below them imports them."""
    users = [file for file, _ in offences("neumeta", ("neumeta.stages", "neumeta.__main__"))]
    top = ("neumeta/stages/", "neumeta/__main__.py")
    assert [file for file in users if not file.startswith(top)] == []


def test_the_kit_of_reports_knows_no_method() -> None:
    """It imports itself, records and errors: nothing that any one method brings."""
    found: set[str] = set()
    for file in sorted((ROOT / "neumeta/report").glob("*.py")):
        found |= {
            name for name in imported(file.read_text(), "neumeta.report") if "neumeta" in name
        }
    allowed = ("neumeta.report", "neumeta.core.records", "neumeta.errors")
    assert found and [name for name in sorted(found) if not name.startswith(allowed)] == []


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
