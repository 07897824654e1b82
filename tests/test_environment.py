"""The environment: the lock holds every package, and `make env` sets up .venv once and safely."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import LONGEST

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read_lock() -> dict[str, str]:
    """Package -> version of every line of the lock."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    found = [re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)", pin) for pin in pins]
    assert all(found), [pin for pin, match in zip(pins, found, strict=True) if not match]
    versions = {match[1]: match[2] for match in found if match}
    assert len(versions) == len(pins), "a package is pinned twice"
    return versions


def needed(name: str, extras: frozenset[str]) -> set[str]:
    """Names of all packages that a package needs here, directly or through others."""
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [(name, extras)]
    while queue:
        entry = queue.pop()
        if entry in seen:
            continue
        seen.add(entry)
        package, wanted = entry
        for line in distribution(package).requires or []:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in {"", *wanted}):
                queue.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {package for package, _ in seen} - {name}


def test_every_needed_package_is_locked_and_installed_so() -> None:
    lock = read_lock()
    packages = needed("neumeta", frozenset({"dev"}))
    assert len(packages) > 100
    # A local build such as 2.13.0+cpu is the same release.
    installed = {p: distribution(p).version.partition("+")[0] for p in sorted(packages)}
    assert installed == {p: lock.get(p) for p in installed}


def test_no_file_belongs_to_two_packages() -> None:
    """Packages of one import name overwrite each other; the order decides which survives."""
    owners: dict[str, set[str]] = {}
    for package in sorted(needed("neumeta", frozenset({"dev"}))):
        for file in distribution(package).files or []:
            if file.suffix == ".py" and len(file.parts) > 1:
                owners.setdefault(str(file), set()).add(package)
    shared = {file: packages for file, packages in owners.items() if len(packages) > 1}
    assert shared == {}


def test_the_longest_files_of_tests_come_first() -> None:
    """By name: one that is gone would come at the end, where a process waits for it alone."""
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
    # Else pytest-xdist sorts files by the number of their tests, and the longest have few.
    assert "--dist loadfile --no-loadscope-reorder" in (ROOT / "Makefile").read_text()


def test_build_backend_is_locked() -> None:
    lock = read_lock()
    for line in PROJECT["build-system"]["requires"]:
        requirement = Requirement(line)
        assert str(requirement.specifier) == f"=={lock[requirement.name]}"


@pytest.mark.parametrize(
    ("package", "good", "bad"),
    [
        ("fastapi", ["0.139.0", "0.150.0"], ["0.151.0", "0.155.0"]),
        ("sqlalchemy", ["2.0.58"], ["2.1.0"]),
        ("torch", ["2.13.0", "2.13.0+cpu", "2.13.0+cu130"], ["2.12.0", "2.13.1"]),
    ],
)
def test_version_traps_are_fenced(package: str, good: list[str], bad: list[str]) -> None:
    allowed = {
        Requirement(line).name: Requirement(line) for line in PROJECT["project"]["dependencies"]
    }
    specifier = allowed[package].specifier
    assert [v for v in good if v in specifier] == good
    assert [v for v in bad if v in specifier] == []


# A python that makes empty environments. Every call of pip in them is written to calls.log; a file
# `pip-fails` makes the installation fail, a file `pip-dies` kills it and make with it.
FAKE_PYTHON = """#!/bin/sh
case "$1" in
-c) test ! -e too-old ;;
-V) echo "Python 3.9.1" ;;
-m) rm -rf "$4"; mkdir -p "$4/bin"; cp fake-pip "$4/bin/python"; echo "venv" >>calls.log ;;
esac
"""
FAKE_PIP = """#!/bin/sh
case "$*" in *" install "*) ;; *) exit 0 ;; esac
for last; do :; done
echo "$PIP_CONSTRAINT $last" >>calls.log
if [ -e pip-dies ]; then kill -9 $PPID $$; fi
if [ -e pip-fails ]; then exit 1; fi
"""


class Checkout:
    """A folder with the project's Makefile and a stand-in for Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Makefile", "pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, folder)
        for name, text in (("fake-python", FAKE_PYTHON), ("fake-pip", FAKE_PIP)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def make(self) -> subprocess.CompletedProcess[str]:
        """Run `make env`."""
        command = ["make", "env", "PYTHON=./fake-python"]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=60
        )

    def calls(self) -> list[str]:
        """What was called since the last look."""
        log = self.folder / "calls.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines


# The lock that was in force, and what was asked for.
PROJECT_FIRST = "requirements.lock .[dev]"
INSTALL = [PROJECT_FIRST, "requirements.lock pydoclint"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    return Checkout(tmp_path)


def test_environment_is_made_once(checkout: Checkout) -> None:
    assert checkout.make().returncode == 0
    assert checkout.calls() == ["venv", *INSTALL]
    assert checkout.make().returncode == 0
    assert checkout.calls() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_changed_dependencies_are_installed(checkout: Checkout, name: str) -> None:
    checkout.make()
    checkout.calls()
    later = (checkout.folder / ".venv/.installed").stat().st_mtime + 10
    os.utime(checkout.folder / name, (later, later))
    assert checkout.make().returncode == 0
    assert checkout.calls() == INSTALL  # into the environment that is there


def test_killed_installation_is_redone_from_scratch(checkout: Checkout) -> None:
    (checkout.folder / "pip-dies").touch()
    assert checkout.make().returncode != 0
    assert checkout.calls() == ["venv", PROJECT_FIRST]
    (checkout.folder / "pip-dies").unlink()
    assert checkout.make().returncode == 0
    assert checkout.calls() == ["venv", *INSTALL]


def test_failed_installation_keeps_the_environment(checkout: Checkout) -> None:
    """Offline, say: pip changed nothing, so what is there stays and the next run tries again."""
    (checkout.folder / "pip-fails").touch()
    assert checkout.make().returncode != 0
    checkout.calls()
    (checkout.folder / "pip-fails").unlink()
    assert checkout.make().returncode == 0
    assert checkout.calls() == INSTALL


def test_old_python_is_refused_in_one_line(checkout: Checkout) -> None:
    (checkout.folder / "too-old").touch()
    done = checkout.make()
    assert done.returncode != 0
    assert checkout.calls() == []
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert ours == [
        "neumeta needs Python 3.11 to 3.14, but ./fake-python is Python 3.9.1; "
        "name another: make env PYTHON=/path/to/python3"
    ]
