"""The identity of a stage's code: what its results depend on, beside data and parameters.

It is a hash over everything that the stage's module imports from this project, directly or not,
read as syntax trees without comments and docstrings, and over the locked versions of the packages
that this code computes with. Templates and other files of a package count with its modules.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from neumeta.core.syntax import module_meaning, parsed

PACKAGE = "neumeta"
STAGES = f"{PACKAGE}/stages"
LOCK = "requirements.lock"
# What reads parameters, shows progress and checks shapes in tests, and computes nothing.
NOT_COMPUTING = frozenset({"jaxtyping", "pydantic", "ruamel-yaml", "tqdm"})
# Import names that are not the names of their distributions.
_DISTRIBUTIONS = {"pil": "pillow", "sklearn": "scikit-learn", "ruamel": "ruamel-yaml"}
_DIGITS = 16

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Closure:
    """What one stage runs.

    Attributes:
        files: Content by path below the root of the project: modules, and what lies beside them
            in their packages.
        packages: Locked version by name of distribution.
    """

    files: Files
    packages: Mapping[str, str]

    def digest(self) -> str:
        """Hash all of it.

        Returns:
            16 hexadecimal digits; equal for equal code, whatever its comments.
        """
        lines = [f"{path} {digest_of(path, text)}" for path, text in sorted(self.files.items())]
        lines += [f"{name}=={version}" for name, version in sorted(self.packages.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_DIGITS]


def digest_of(path: str, content: bytes) -> str:
    """Hash what a file says.

    Args:
        path: Its name tells how to read it.
        content: Of the file.

    Returns:
        64 hexadecimal digits: of its syntax tree for Python, else of its bytes.
    """
    text = module_meaning(content.decode()).encode() if path.endswith(".py") else content
    return hashlib.sha256(text).hexdigest()


def read_tree(root: str | Path) -> dict[str, bytes]:
    """Read what identities are made of.

    Args:
        root: The folder that holds the package and the lock.

    Returns:
        Content by path below the root.
    """
    folder = Path(root)
    paths = [
        path
        for path in (folder / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    ]
    paths += [path for path in (folder / LOCK,) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(paths)}


def stage_modules(files: Iterable[str]) -> dict[str, str]:
    """List the stages.

    Args:
        files: Paths below the root.

    Returns:
        Path of the module by name of the stage: modules below `stages` whose names do not begin
        with an underscore.
    """
    paths = (Path(path) for path in files if path.startswith(f"{STAGES}/"))
    return {
        path.stem: path.as_posix()
        for path in sorted(paths)
        if path.suffix == ".py" and not path.stem.startswith("_")
    }


def closure_of(stage: str, files: Files) -> Closure:
    """Find all code that a stage may run, by following its imports, wherever they stand.

    Args:
        stage: Name of the stage.
        files: See `read_tree`.

    Returns:
        The closure. The package's own `__init__`, whose imports are lazy and for users only, is
        no part of it.

    Raises:
        KeyError: If there is no such stage.
    """
    done: set[str] = set()
    outside: set[str] = set()
    todo = {stage_modules(files)[stage]}
    while todo:
        path = todo.pop()
        done.add(path)
        own, foreign = _imports(path, files)
        outside |= foreign
        todo |= own - done
    folders = {str(Path(path).parent) for path in done}
    beside = {
        path
        for path in files
        if not path.endswith(".py") and path != LOCK and str(Path(path).parent) in folders
    }
    locked = locked_versions(files.get(LOCK, b"").decode())
    return Closure(
        files={path: files[path] for path in done | beside},
        packages={name: locked[name] for name in sorted(outside - NOT_COMPUTING) if name in locked},
    )


def locked_versions(text: str) -> dict[str, str]:
    """Read the versions of a lock.

    Args:
        text: Lines `name==version`; others, as comments, say nothing.

    Returns:
        Version by distribution, lower case, with hyphens.
    """
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {distribution(name): version for name, version in found}


def distribution(name: str) -> str:
    """Name a distribution in one way.

    Args:
        name: Of a distribution, or what is imported.

    Returns:
        Lower case, with hyphens.
    """
    plain = re.sub(r"[._-]+", "-", name).lower()
    return _DISTRIBUTIONS.get(plain, plain)


def _imports(path: str, files: Files) -> tuple[set[str], set[str]]:
    """Files of this project that one file imports, and the distributions that it imports."""
    own: set[str] = set()
    outside: set[str] = set()
    for name in imported_names(files[path].decode(), Path(path).parent.parts):
        top = name.partition(".")[0]
        if top != PACKAGE:
            outside.add(distribution(top))
            continue
        place = name.replace(".", "/")
        own |= {file for file in (f"{place}.py", f"{place}/__init__.py") if file in files}
    return own - {f"{PACKAGE}/__init__.py"}, outside


@lru_cache(maxsize=2048)
def imported_names(text: str, package: tuple[str, ...]) -> frozenset[str]:
    """Full names of all that a module imports, wherever in it, also by `import_module("name")`.

    Args:
        text: Source of the module.
        package: Parts of the name of the package it lies in, for relative imports.

    Returns:
        Names of modules, and of what is taken out of them; parent packages of each, too.
    """
    names: set[str] = set()
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names |= {start, *(f"{start}.{alias.name}" for alias in node.names)}
        elif (
            isinstance(node, ast.Call)
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and ast.unparse(node.func).rpartition(".")[2] in {"import_module", "__import__"}
        ):
            names.add(str(node.args[0].value))
    parents = {name[:i] for name in names for i, c in enumerate(name) if c == "."}
    return frozenset(name for name in names | parents if name)
