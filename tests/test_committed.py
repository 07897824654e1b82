"""What tests compare with is what is committed, not what a run has left in the working tree."""

import subprocess
from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from tests import committed as module
from tests.committed import committed


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one committed report, in the place of the project."""
    folder = tmp_path / "project"
    (folder / "reports").mkdir(parents=True)
    (folder / "reports/table.csv").write_text("accuracy\n0.981481\n")
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    monkeypatch.setattr(module, "ROOT", folder)
    return folder


def test_what_another_processor_made_does_not_count(repository: Path, tmp_path: Path) -> None:
    (repository / "reports/table.csv").write_text("accuracy\n0.981482\n")
    found = committed(tmp_path / "there", "reports")
    assert (found / "reports/table.csv").read_text() == "accuracy\n0.981481\n"
    (repository / "reports/table.csv").unlink()
    found = committed(tmp_path / "again", "reports")
    assert (found / "reports/table.csv").read_text() == "accuracy\n0.981481\n"


def test_a_file_that_is_not_committed_fails(repository: Path, tmp_path: Path) -> None:
    (repository / "new.txt").touch()
    with pytest.raises(UserError, match="git archive"):
        committed(tmp_path / "there", "new.txt")


def test_outside_of_a_repository_of_its_own_a_test_is_skipped(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for root in (tmp_path, repository / "reports"):  # in none, and in that of something else
        monkeypatch.setattr(module, "ROOT", root)
        with pytest.raises(pytest.skip.Exception, match="nothing is committed here"):
            committed(tmp_path / "there", "reports")
