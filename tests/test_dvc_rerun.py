"""`dvc repro` on the whole toy pipeline: it reruns what a change can reach, and nothing else."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neumeta.core.identity import LOCK, closure_of, read_tree
from neumeta.core.ledger import LEDGER, Entry, read_ledger, write_ledger
from neumeta.stages._selection import SELECTED
from tests.copied import ALWAYS, Project, stages_run
from tests.data.pictures import folder_params, write_images
from tests.stages.commands import STAGES
from tests.toy import ROOT, toy_params, write_toy_params

ALL = (*STAGES, "index")
FINGERPRINTS = "data/inputs.json"

# What follows from the code: put back with it, for the tests that come after.
IDENTIFIED = ("code.json", "dvc.lock")
# With what these read: all stages but the pages.
MEASURED = (
    *(f"{stage}@digits-lenet" for stage in ("sweep", "baselines", "ablate", "orders")),
    "study@permutation-study",
)


def names_of(found: Iterable[str]) -> set[str]:
    """Stages without what they are looped over."""
    return {name.split("@")[0] for name in found}


# What the next `dvc repro` would run is known once the identities of the code are.
STALE = ("dvc repro --single-item code", "dvc status --json")


def waiting(status: str) -> set[str]:
    """Names in what `dvc status --json` says, but for the stage that always runs."""
    found = set(json.loads(status))
    assert ALWAYS in found
    return found - {ALWAYS}


def stale(project: Project) -> set[str]:
    """Stages that the next `dvc repro` would run."""
    _, status = project.run(*STALE)
    return names_of(waiting(status))


def importing(path: str) -> set[str]:
    """Stages that run a file of the package."""
    files = read_tree(ROOT)
    found = {stage for stage in ALL if path in closure_of(stage, files).files}
    assert found and found != set(ALL), f"{path} tells nothing"
    return found


@contextmanager
def restored(project: Project, *paths: str) -> Iterator[None]:
    """Let files be changed, and put them back."""
    before = {path: (project.folder / path).read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            (project.folder / path).write_bytes(content)


@pytest.fixture(scope="module")
def repeated(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The whole toy pipeline as `dvc repro` would leave it; all tests but the last leave it so.

    The stages ran by the commands of dvc.yaml; DVC is told so, which takes less time.
    """
    folder = tmp_path_factory.mktemp("rerun") / "project"
    shutil.copytree(finished, folder)
    project = Project(folder)
    write_toy_params(folder)
    commit = f"dvc commit --force {' '.join(ALL)}"
    before = "dvc repro --single-item code inputs"
    code, others, _ = project.run(before, "dvc repro --dry", commit)
    assert stages_run(code) == ["code"] and set(stages_run(others)) == {*ALL}
    return project


def test_a_second_run_does_nothing(repeated: Project) -> None:
    (second,) = repeated.run("dvc repro")
    assert stages_run(second) == []


def test_what_a_fresh_clone_holds_shows_that_the_lock_matches(
    repeated: Project, tmp_path: Path
) -> None:
    folder = repeated.folder
    left = {folder: {"data"}, folder / ".dvc": {"cache", "tmp"}}
    clone = tmp_path / "clone"
    shutil.copytree(folder, clone, ignore=lambda place, names: left.get(Path(place), set()))
    (clone / "data").mkdir()
    for path in (SELECTED, FINGERPRINTS):
        shutil.copy(folder / path, clone / path)
    (dry,) = repeated.run("dvc repro --dry --allow-missing", cwd=clone)
    assert stages_run(dry) == []


UNUSED = "\n\ndef _unused() -> None:\n    return None\n"


def test_a_comment_reruns_nothing_but_the_identities(repeated: Project) -> None:
    folder = repeated.folder
    identities = (folder / "code.json").read_bytes()
    path = "neumeta/core/files.py"
    with restored(repeated, path, *IDENTIFIED):
        text = (folder / path).read_text().replace('"""', '"""Another docstring. ', 1)
        (folder / path).write_text(f"# A comment.\n{text}# Another.\n")
        (ran,) = repeated.run("dvc repro")
        assert stages_run(ran) == ["code"]
        assert (folder / "code.json").read_bytes() == identities


def test_an_edit_reruns_the_stages_that_import_it(repeated: Project) -> None:
    path = "neumeta/data/sources.py"
    with restored(repeated, path):
        repeated.add(path, UNUSED)
        # The new dataset has the bytes of the old one, so that nothing follows but the reports,
        # which tell how long it took.
        (ran,) = repeated.run(f"dvc repro {' '.join(MEASURED)}")
        assert stages_run(ran) == ["code", "data"]
        assert {*stages_run(ran)} == {"code", *importing(path)}
    # What was made once is not made again: DVC finds it among its former runs.
    (back,) = repeated.run("dvc repro")
    assert stages_run(back) == ["code"]


@pytest.mark.parametrize(
    "path", ["neumeta/inr/coordinates.py", "neumeta/report/page.css", "neumeta/permute/path.py"]
)
def test_an_edit_makes_exactly_the_stages_stale_that_import_it(
    repeated: Project, path: str
) -> None:
    with restored(repeated, path, *IDENTIFIED):
        repeated.add(path, UNUSED)
        assert stale(repeated) == importing(path)


def test_another_version_makes_the_stages_stale_that_compute_with_it(repeated: Project) -> None:
    files = read_tree(ROOT)
    users = {stage for stage in ALL if "jinja2" in closure_of(stage, files).packages}
    assert "report" in users and "train" not in users
    with restored(repeated, LOCK, *IDENTIFIED):
        text = (repeated.folder / LOCK).read_text()
        (repeated.folder / LOCK).write_text(re.sub(r"(?m)^jinja2==.*", "jinja2==99.0.0", text))
        assert stale(repeated) == users
    assert stale(repeated) == set()


def test_a_line_of_the_ledger_keeps_results(repeated: Project) -> None:
    path = "neumeta/inr/coordinates.py"
    folder = repeated.folder
    identities = json.loads((folder / "code.json").read_text())
    with restored(repeated, path, LEDGER, *IDENTIFIED):
        repeated.add(path, UNUSED)
        ledger = {s: dict(entries) for s, entries in read_ledger(folder / LEDGER).items()}
        for stage in importing(path) - {"sweep"}:
            code = closure_of(stage, read_tree(folder)).digest()
            entry = Entry(identity=identities[stage], why="Add a function", base="0", twins=1)
            ledger[stage] = {**ledger.get(stage, {}), code: entry}
        write_ledger(folder / LEDGER, ledger)
        assert stale(repeated) == {"sweep"}


def test_raw_files_are_dependencies_where_they_are(repeated: Project) -> None:
    """A picture less is another data set; none at all is a machine without raw data."""
    raw, data = repeated.folder / "raw", "dvc repro data@digits"
    card = repeated.folder / "data/datasets/digits.card.json"
    write_images(raw / "pets")
    picture = raw / "pets/test/cat/0.png"
    record = "data/runs/data/digits.run.json"  # git's
    with restored(repeated, "params.yaml", "dvc.lock", FINGERPRINTS, record):
        params = toy_params()
        params["data"]["digits"] = folder_params(Path("pets")).model_dump(exclude_none=True)
        write_toy_params(repeated.folder, params)
        first, again = repeated.run(data, data)
        assert stages_run(first) == ["data"] and stages_run(again) == []
        assert json.loads(card.read_text())["sizes"] == {"train": 6, "val": 2, "test": 8}

        content = picture.read_bytes()
        picture.unlink()
        (raw / "pets/.DS_Store").write_bytes(b"x")
        (ran,) = repeated.run(data)
        assert stages_run(ran) == ["data"]
        assert json.loads(card.read_text())["sizes"]["test"] == 7
        picture.write_bytes((raw / "pets/test/cat/1.png").read_bytes())  # of another content
        (ran,) = repeated.run(data)
        assert stages_run(ran) == ["data"]
        picture.write_bytes(content)
        repeated.run(data)  # the first result, out of DVC's cache

        before = (repeated.folder / FINGERPRINTS).read_bytes()
        (raw / "pets").rename(raw / "away")
        (without,) = repeated.run(data)
        assert stages_run(without) == [] and "not on this machine" in without
        assert (repeated.folder / FINGERPRINTS).read_bytes() == before
    repeated.run("dvc checkout --force")


def test_parameters_reach_the_stages_that_read_them(repeated: Project) -> None:
    params = toy_params()
    status, measured = "dvc status --json", f"dvc repro {' '.join(MEASURED)}"
    params["digits-lenet"]["report"]["title"] = "Another title"
    write_toy_params(repeated.folder, params)
    (first,) = repeated.run(status)
    assert waiting(first) == {"report@digits-lenet"}

    params["digits-lenet"]["train"]["task"]["lr"] *= 0.9
    write_toy_params(repeated.folder, params)
    ran, second = repeated.run(measured, status)
    assert set(stages_run(ran)) == {"train", "sweep", "ablate", "study"}
    reports = {"report@digits-lenet", "study_report@permutation-study"}
    assert waiting(second) == {*reports, "costs@digits-lenet"}  # which MEASURED leaves out

    params["digits-lenet"]["baselines"]["individual"]["seeds"] = [3]
    params["digits-lenet"]["train"]["task"]["lr"] /= 0.9
    write_toy_params(repeated.folder, params)
    back, third, rest = repeated.run(measured, status, "dvc repro")
    assert set(stages_run(back)) == {"baselines"}, "the run cache must restore a known training"
    assert waiting(third) == {"report@digits-lenet"}
    assert set(stages_run(rest)) == {"report", "index"}
