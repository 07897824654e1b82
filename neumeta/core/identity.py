"""The identity of a stage's code: what its results depend on, beside data and parameters.

It is a hash over everything that the stage's module imports from this project, directly or not,
read as syntax trees without comments and docstrings, and over the locked versions of the packages
that this code computes with. Templates and other files of a package count with its modules.
"""

import ast
import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

from neumeta.core.errors import UserError
from neumeta.core.syntax import module_meaning, parsed

PACKAGE = "neumeta"
STAGES = f"{PACKAGE}/stages"
LOCK = "requirements.lock"
# What reads parameters, shows progress and checks shapes in tests, and computes nothing.
NOT_COMPUTING = frozenset({"jaxtyping", "pydantic", "ruamel-yaml", "tqdm"})
# Import names that are not the names of their distributions.
_DISTRIBUTIONS = {"pil": "pillow", "sklearn": "scikit-learn", "ruamel": "ruamel-yaml"}
# The guard of a stage: it lets a stage end well or not, and shapes no result.
GUARD = f"{PACKAGE}/core/unchanged.py"
_IMPORTERS = {"import_module", "__import__"}
# Stages that make what others take for their code and their raw files: they have no identity.
UNIDENTIFIED = frozenset({"code", "inputs"})
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

    Raises:
        UserError: If it should be Python and is not.
    """
    if path.endswith(".py"):
        with _python(path):
            content = module_meaning(content.decode()).encode()
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _python(path: str) -> Iterator[None]:
    """Name the file that is no Python."""
    try:
        yield
    except SyntaxError as error:
        raise UserError(f"{path}: not Python: line {error.lineno}: {error.msg}") from error
    except ValueError as error:  # bytes that are no text
        raise UserError(f"{path}: not Python: {' '.join(str(error).split())}") from error


def read_tree(root: str | Path) -> dict[str, bytes]:
    """Read what identities are made of.

    Args:
        root: The folder that holds the package and the lock.

    Returns:
        Content by path below the root; see `left_out` for what is not there.
    """
    folder = Path(root)
    paths = [
        path
        for path in (folder / PACKAGE).rglob("*")
        if path.is_file() and not left_out(path.relative_to(folder))
    ]
    paths += [path for path in (folder / LOCK,) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(paths)}


def left_out(path: PurePath) -> bool:
    """Tell what is no part of the code: hidden files, and what Python compiled.

    Args:
        path: A file below the root.

    Returns:
        Whether it is left out.
    """
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return hidden or path.suffix in {".pyc", ".pyo"}


def stage_modules(files: Iterable[str]) -> dict[str, str]:
    """List the stages.

    Args:
        files: Paths below the root.

    Returns:
        Path of the module by name of the stage: modules below `stages` whose names do not begin
        with an underscore.

    Raises:
        UserError: If two modules have one name; a stage is called by its name alone.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(Path(path) for path in files if path.startswith(f"{STAGES}/")):
        if path.suffix == ".py" and not path.stem.startswith("_"):
            found[path.stem].append(path.as_posix())
    for name, paths in found.items():
        if len(paths) > 1:
            raise UserError(f"two modules are called stage {name!r}: {' and '.join(paths)}")
    return {name: paths[0] for name, paths in found.items()}


def closure_of(stage: str, files: Files) -> Closure:
    """Find all code that a stage may run, by following its imports, wherever they stand.

    Args:
        stage: Name of the stage.
        files: See `read_tree`.

    Returns:
        The closure. The package's own `__init__`, whose imports are lazy and for users only, and
        the guard that watches over the code are no part of it.

    Raises:
        UserError: If there is no such stage, or a file of it is no Python.
    """
    modules = stage_modules(files)
    if stage not in modules:
        raise UserError(f"no stage {stage!r}; stages are {', '.join(modules)}")
    done: set[str] = set()
    outside: set[str] = set()
    todo = {modules[stage]}
    while todo:
        path = todo.pop()
        done.add(path)
        own, foreign = _imports(path, files)
        outside |= foreign
        todo |= own - done
    packages = {Path(path).parent for path in files if path.endswith(".py")}
    own_packages = {Path(path).parent for path in done}
    beside = {
        path
        for path in files
        if not path.endswith(".py") and _package_of(path, packages) in own_packages
    }
    locked = locked_versions(files.get(LOCK, b"").decode())
    return Closure(
        files={path: files[path] for path in done | beside},
        packages={name: locked[name] for name in sorted(outside - NOT_COMPUTING) if name in locked},
    )


def _package_of(path: str, packages: Collection[Path]) -> Path | None:
    """The package that a file without code belongs to: the nearest folder that holds modules."""
    return next((folder for folder in Path(path).parents if folder in packages), None)


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
    with _python(path):
        names = imported_names(files[path].decode(), Path(path).parent.parts)
    for name in names:
        top = name.partition(".")[0]
        if top != PACKAGE:
            outside.add(distribution(top))
            continue
        place = name.replace(".", "/")
        own |= {file for file in (f"{place}.py", f"{place}/__init__.py") if file in files}
    return own - {f"{PACKAGE}/__init__.py", GUARD}, outside


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
            start = _absolute(node.module or "", node.level, package)
            names |= {start, *(f"{start}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _IMPORTERS:
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "name")]
            for value in given:
                if isinstance(value, ast.Constant):
                    name = str(value.value)
                    plain = name.lstrip(".")
                    names.add(_absolute(plain, len(name) - len(plain), package))
    parents = {name[:i] for name in names for i, c in enumerate(name) if c == "."}
    return frozenset(name for name in names | parents if name)


def _absolute(name: str, level: int, package: tuple[str, ...]) -> str:
    """Full name of a module that is named by `level` dots and a name."""
    base = package[: len(package) - level + 1] if level else ()
    return ".".join([*base, *([name] if name else [])])
