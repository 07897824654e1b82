"""A toy pipeline of the project's shape, and one Prefect server for all tests of the flows."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.server import local_server
from tests.flows.toy import (
    PROJECT,
    Flows,
    add_code,
    dvc,
    flow_environment,
    free_port,
    make_toy,
    shell,
)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy that never ran; tests copy it."""
    return make_toy(tmp_path_factory.mktemp("fresh") / "toy")


@pytest.fixture
def toy(fresh: Path, tmp_path: Path) -> Path:
    """A copy of the toy that never ran."""
    return Path(shutil.copytree(fresh, tmp_path / "toy"))


@pytest.fixture(scope="session")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flows]:
    """One Prefect server for all tests that run a flow."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in flow_environment(PROJECT, home).items():
            patch.setenv(name, value)
        patch.delenv("PREFECT_API_URL", raising=False)
        patch.setenv("PREFECT_SERVER_UI_ENABLED", "false")
        server = local_server("127.0.0.1", free_port(), home / "server.log")
        api_url = server.__enter__()
    try:
        yield Flows(home, api_url)
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def reproduced(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy that `dvc repro` ran by hand; tests copy it."""
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("reproduced") / "toy"))
    dvc("repro", "-q", cwd=folder)
    shell("git", "add", "-A", cwd=folder)
    shell("git", "commit", "-q", "-m", "reproduced", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def coded_once(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy with a stage `code` that `dvc repro` ran by hand; tests copy it."""
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("coded") / "toy"))
    dvc("repro", "-q", cwd=add_code(folder))
    shell("git", "add", "-A", cwd=folder)
    shell("git", "commit", "-q", "-m", "coded", cwd=folder)
    return folder


@pytest.fixture
def coded(coded_once: Path, tmp_path: Path) -> Path:
    """A copy of the toy with a stage `code` that is up to date."""
    return Path(shutil.copytree(coded_once, tmp_path / "coded"))


@pytest.fixture
def done(reproduced: Path, tmp_path: Path) -> Path:
    """A copy of the toy that is up to date."""
    return Path(shutil.copytree(reproduced, tmp_path / "done"))
