"""The stage `code`, which writes what all others take for their code, runs before the plan."""

import shutil
from pathlib import Path

import pytest
import yaml

import flows.width_report
from flows.dvc_graph import must_run, read_plan
from flows.width_report import CODE, main
from tests.flows.toy import FETCHED, TRAINED, Flows, dvc, edit, shell

# DVC 3.67 reads an attribute that pygtrie has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def change_code(root: Path) -> None:
    """Edit what `train` imports, and `fetch` does not."""
    edit(root, TRAINED, '"train": "2"', "identities.txt")


def lines_of(output: str) -> dict[str, list[str]]:
    """Status and reason of every stage of a printed plan."""
    rows = [line.split(maxsplit=2) for line in output.splitlines()[2:]]
    return {name: rest.split(maxsplit=1) for _, name, rest in rows}


@pytest.fixture
def root(coded: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy with a stage `code`, on which flows work."""
    monkeypatch.setenv("NEUMETA_ROOT", str(coded))
    return coded


def test_without_it_a_plan_would_follow_the_old_code(root: Path) -> None:
    change_code(root)
    assert {s.name for s in read_plan(root).stages if s.status == "run"} == {CODE}
    assert must_run(root, CODE)


def test_a_dry_run_knows_what_the_new_code_reaches(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_code(root)
    assert main(["--dry"]) == 0
    plan = lines_of(capsys.readouterr().out)
    assert {name for name, (status, *_) in plan.items() if status == "run"} == {
        "train@alpha",
        "train@beta",
    }
    assert plan["train@alpha"][1] == "param train: 1 -> 2"
    assert plan[CODE][0] == plan["fetch@alpha"][0] == "up"  # to date
    assert '"2"' in (root / "code.json").read_text() and not must_run(root, CODE)


def test_a_dry_run_starts_nothing_where_the_code_is_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so takes no lock that a training holds."""
    monkeypatch.setattr(flows.width_report, "execute", lambda *_: pytest.fail("a child"))
    lock = (root / "dvc.lock").read_bytes()
    assert main(["--dry"]) == 0
    assert (root / "dvc.lock").read_bytes() == lock


def test_a_pipeline_without_it_is_left_alone(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUMETA_ROOT", str(done))
    monkeypatch.setattr(flows.width_report, "execute", lambda *_: pytest.fail("a child"))
    assert not must_run(done, CODE)
    assert main(["--dry"]) == 0
    assert not (done / "code.json").exists()


def test_a_missing_file_of_identities_is_made(root: Path) -> None:
    (root / "code.json").unlink()
    assert main(["--dry"]) == 0
    assert (root / "code.json").is_file()


def test_its_failure_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "identities.txt").unlink()
    assert main(["--dry"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: code ended with exit code") and error.count("\n") == 1


def test_a_run_follows_the_new_code_and_leaves_the_lock_of_dvc_repro(
    root: Path, tmp_path: Path, flows: Flows
) -> None:
    by_hand = Path(shutil.copytree(root, tmp_path / "by-hand"))
    for folder in (root, by_hand):
        change_code(folder)
    dvc("repro", "-q", cwd=by_hand)
    code, output = flows.run(root, "--commit")
    assert code == 0, output
    assert "train of alpha starts" in output and "fetch of alpha starts" not in output
    # Code ran before the plan, in which it is up to date; reports get the same numbers again.
    assert output.rstrip().endswith("2 ran, 7 cached")
    locks = [yaml.safe_load((folder / "dvc.lock").read_text()) for folder in (root, by_hand)]
    assert locks[0] == locks[1]
    shown = shell("git", "show", "--name-only", "--format=", "HEAD", cwd=root).split()
    assert shown == ["code.json", "dvc.lock"], "what is committed fits together"


def test_a_run_that_the_new_code_reaches_no_stage_of_is_cached(root: Path, flows: Flows) -> None:
    edit(root, FETCHED, f'{FETCHED}, "other": "1"', "identities.txt")
    code, output = flows.run(root)
    assert code == 0, output
    assert output.rstrip().endswith("9 cached")
