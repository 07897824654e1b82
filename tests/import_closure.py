"""Which modules of neumeta a stage imports, directly or not, read from the syntax tree."""

import ast
from pathlib import Path

from neumeta.state_key import is_neutral

ROOT = Path(__file__).parent.parent

# Each counts as one folder, because its templates and texts belong to it.
FOLDERS = (
    "neumeta/report",
    "neumeta/methods/metamorphosis/report",
    "neumeta/methods/metamorphosis/orders_report",
)


def imported_modules(path: Path) -> set[Path]:
    """Files of this project that one file imports, anywhere in it."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            place = ROOT / name.replace(".", "/")
            for file in (place.with_suffix(".py"), place / "__init__.py"):
                if name.split(".")[0] in {"neumeta", "flows"} and file.is_file():
                    found.add(file)
    return found - {ROOT / "neumeta/__init__.py"}  # its imports are lazy, for users only


def closure(start: Path) -> set[str]:
    """All project files behind a file, itself included, as paths relative to the root."""
    done: set[Path] = set()
    todo = {start}
    while todo:
        path = todo.pop()
        done.add(path)
        todo |= imported_modules(path) - done
    return {path.relative_to(ROOT).as_posix() for path in done}


def _is_docstring_only(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) for node in body)


def stage_deps(stage: str) -> list[str]:
    """The code that dvc.yaml must name for a stage.

    Packages with templates or texts count as one folder; files without any code, as most
    `__init__.py`, do not count.
    """
    found = closure(ROOT / "neumeta" / "stages" / f"{stage}.py")
    files = {f for f in found if not is_neutral(ROOT / f) and not _is_docstring_only(ROOT / f)}
    return sorted({next((f for f in FOLDERS if file.startswith(f"{f}/")), file) for file in files})
