"""The record of a run that made known results again."""

import json
import subprocess
from pathlib import Path

import pytest

from neumeta.core.recording import committed, hashes_of, recorded

RECORD = Path("data/runs/train/toy.run.json")
OUT = Path("data/toy")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed run, in the current folder."""
    monkeypatch.chdir(tmp_path)
    run("one", {"seed": "0"})
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "results")
    return tmp_path


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], check=True, capture_output=True, text=True)
    return done.stdout


def run(content: str, asked: dict[str, str]) -> dict[str, object]:
    """Write outs and record, as a stage does."""
    with recorded("train", str(RECORD), [OUT], params={"train": json.dumps(asked)}):
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "a.txt").write_text(content)
    record: dict[str, object] = json.loads(RECORD.read_text())
    return record


@pytest.mark.usefixtures("repository")
def test_equal_results_keep_the_record_of_the_first_run() -> None:
    before = RECORD.read_bytes()
    RECORD.unlink()  # as DVC does before it runs a stage
    again = run("one", {"seed": "0"})
    assert RECORD.read_bytes() == before and git("status", "--porcelain") == ""
    assert again["outs"] == hashes_of([OUT / "a.txt"])
    assert list(hashes_of([OUT])) == ["data/toy/a.txt"]


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(("content", "seed"), [("two", "0"), ("one", "1")])
def test_another_result_or_another_wish_is_a_run_of_its_own(content: str, seed: str) -> None:
    before = json.loads(RECORD.read_text())
    again = run(content, {"seed": seed})
    assert again["revision"] != before["revision"] and git("status", "--porcelain") != ""


@pytest.mark.usefixtures("repository")
def test_without_a_committed_record_there_is_none_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads(RECORD.read_text())
    assert committed(RECORD, record) == RECORD.read_text()
    assert committed("data/runs/train/other.run.json", record) is None
    assert committed("not/there/yet.run.json", record) is None
    RECORD.write_text("[]")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "edited")
    assert committed(RECORD, record) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert committed(RECORD, record) is None, "no git"
