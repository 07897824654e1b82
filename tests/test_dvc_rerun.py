"""`dvc repro` on the whole toy pipeline: it reruns what a change can reach, and nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neumeta.core.identity import LOCK, closure_of, read_tree
from neumeta.core.ledger import LEDGER, Entry, read_ledger, write_ledger
from neumeta.stages._selection import SELECTED
from tests.data.pictures import folder_params, write_images
from tests.stages.commands import STAGES
from tests.toy import ROOT, toy_params, write_toy_params

ALL = (*STAGES, "index")
INPUTS = "inputs"  # runs every time

# With what these read: all stages but the pages.
MEASURED = (
    *(f"{stage}@digits-lenet" for stage in ("sweep", "baselines", "ablate", "orders")),
    "study@permutation-study",
)


def dvc(folder: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def names_of(found: Iterable[str]) -> set[str]:
    """Stages without what they are looped over."""
    return {name.split("@")[0] for name in found}


def stale(folder: Path) -> set[str]:
    """Stages that the next `dvc repro` would run, once it knows the identities of the code."""
    dvc(folder, "repro", "--single-item", "code")
    found = names_of(json.loads(dvc(folder, "status", "--json")))
    assert INPUTS in found
    return found - {INPUTS}


def stale_now(folder: Path) -> set[str]:
    """Names with what they are looped over, by the identities that are there."""
    return set(json.loads(dvc(folder, "status", "--json"))) - {INPUTS}


def importing(path: str) -> set[str]:
    """Stages that run a file of the package."""
    files = read_tree(ROOT)
    found = {stage for stage in ALL if path in closure_of(stage, files).files}
    assert found and found != set(ALL), f"{path} tells nothing"
    return found


@contextmanager
def restored(folder: Path, *paths: str) -> Iterator[None]:
    """Let files be changed, and put them back."""
    before = {path: (folder / path).read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            (folder / path).write_bytes(content)


def append(folder: Path, path: str, text: str) -> None:
    with (folder / path).open("a", encoding="utf-8") as stream:
        stream.write(text)


def stages_run(output: str) -> set[str]:
    """Without the one that always does."""
    return names_of(re.findall(r"Running stage '([^']+)'", output)) - {INPUTS}


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole toy pipeline as `dvc repro` leaves it; all tests but the last leave it so."""
    folder = tmp_path_factory.mktemp("rerun") / "project"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "neumeta", folder / "neumeta", ignore=skip)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", LOCK, LEDGER):
        shutil.copy(ROOT / name, folder / name)
    write_toy_params(folder)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    dvc(folder, "init", "-q")
    output = dvc(folder, "repro")
    ran = re.findall(r"Running stage '([^']+)'", output)
    assert names_of(ran) == {"code", INPUTS, *ALL} and {*ran[:2]} == {"code", INPUTS}
    return folder


def test_a_second_run_does_nothing(repeated: Path) -> None:
    second = dvc(repeated, "repro")
    assert stages_run(second) == set()
    assert "Running stage 'inputs'" in second


def test_what_a_fresh_clone_holds_shows_that_the_lock_matches(
    repeated: Path, tmp_path: Path
) -> None:
    left = {repeated: {"data"}, repeated / ".dvc": {"cache", "tmp"}}
    clone = tmp_path / "clone"
    shutil.copytree(repeated, clone, ignore=lambda folder, names: left.get(Path(folder), set()))
    (clone / "data").mkdir()
    for path in (SELECTED, "data/inputs.json"):
        shutil.copy(repeated / path, clone / path)
    assert stages_run(dvc(clone, "repro", "--dry", "--allow-missing")) == set()


UNUSED = "\n\ndef _unused() -> None:\n    return None\n"


def test_a_comment_reruns_nothing_but_the_identities(repeated: Path) -> None:
    identities = (repeated / "code.json").read_bytes()
    path = "neumeta/core/files.py"
    with restored(repeated, path):
        text = (repeated / path).read_text().replace('"""', '"""Another docstring. ', 1)
        (repeated / path).write_text(f"# A comment.\n{text}# Another.\n")
        assert stages_run(dvc(repeated, "repro")) == {"code"}
        assert (repeated / "code.json").read_bytes() == identities
    assert stages_run(dvc(repeated, "repro")) == {"code"}


def test_an_edit_reruns_the_stages_that_import_it(repeated: Path) -> None:
    path = "neumeta/data/sources.py"
    with restored(repeated, path):
        append(repeated, path, UNUSED)
        # The new dataset has the bytes of the old one, so that nothing follows but the reports,
        # which tell how long it took.
        ran = stages_run(dvc(repeated, "repro", *MEASURED))
        assert ran == {"code", *importing(path)} == {"code", "data"}
    # What was made once is not made again: DVC finds it among its former runs.
    assert stages_run(dvc(repeated, "repro")) == {"code"}


@pytest.mark.parametrize(
    "path", ["neumeta/inr/coordinates.py", "neumeta/report/page.css", "neumeta/permute/path.py"]
)
def test_an_edit_makes_exactly_the_stages_stale_that_import_it(repeated: Path, path: str) -> None:
    with restored(repeated, path):
        append(repeated, path, UNUSED)
        assert stale(repeated) == importing(path)
    assert stale(repeated) == set()


def test_another_version_makes_the_stages_stale_that_compute_with_it(repeated: Path) -> None:
    files = read_tree(ROOT)
    users = {stage for stage in ALL if "jinja2" in closure_of(stage, files).packages}
    assert "report" in users and "train" not in users
    with restored(repeated, LOCK):
        text = (repeated / LOCK).read_text()
        (repeated / LOCK).write_text(re.sub(r"(?m)^jinja2==.*", "jinja2==99.0.0", text))
        assert stale(repeated) == users
    assert stale(repeated) == set()


def test_a_line_of_the_ledger_keeps_results(repeated: Path) -> None:
    path = "neumeta/inr/coordinates.py"
    identities = json.loads((repeated / "code.json").read_text())
    with restored(repeated, path, LEDGER):
        append(repeated, path, UNUSED)
        ledger = {s: dict(entries) for s, entries in read_ledger(repeated / LEDGER).items()}
        for stage in importing(path) - {"sweep"}:
            code = closure_of(stage, read_tree(repeated)).digest()
            entry = Entry(identity=identities[stage], why="Add a function", base="0", twins=1)
            ledger[stage] = {**ledger.get(stage, {}), code: entry}
        write_ledger(repeated / LEDGER, ledger)
        assert stale(repeated) == {"sweep"}
    assert stale(repeated) == set()


def test_parameters_reach_the_stages_that_read_them(repeated: Path) -> None:
    folder, params = repeated, toy_params()
    params["digits-lenet"]["report"]["title"] = "Another title"
    write_toy_params(folder, params)
    assert stale_now(folder) == {"report@digits-lenet"}

    params["digits-lenet"]["train"]["task"]["lr"] *= 0.9
    write_toy_params(folder, params)
    assert stages_run(dvc(folder, "repro", *MEASURED)) == {"train", "sweep", "ablate", "study"}
    reports = {"report@digits-lenet", "study_report@permutation-study"}
    assert stale_now(folder) == reports

    params["digits-lenet"]["baselines"]["individual"]["seeds"] = [3]
    params["digits-lenet"]["train"]["task"]["lr"] /= 0.9
    write_toy_params(folder, params)
    back = stages_run(dvc(folder, "repro", *MEASURED))
    assert back == {"baselines"}, "the run cache must restore a known training"
    assert stale_now(folder) == {"report@digits-lenet"}


def test_raw_files_are_dependencies_where_they_are(
    repeated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture less is another data set; none at all is a machine without raw data."""
    monkeypatch.setenv("NEUMETA_DATA_ROOT", str(tmp_path))
    write_images(tmp_path / "pets")
    kept = ("params.yaml", "dvc.lock", "data/inputs.json")
    with restored(repeated, *kept):
        params = toy_params()
        params["data"]["digits"] = folder_params(Path("pets")).model_dump(exclude_none=True)
        write_toy_params(repeated, params)
        data = "data@digits"
        assert stages_run(dvc(repeated, "repro", data)) == {"data"}
        assert stages_run(dvc(repeated, "repro", data)) == set()
        record = repeated / "data/datasets/digits.card.json"
        assert json.loads(record.read_text())["sizes"] == {"train": 6, "val": 2, "test": 8}

        picture = tmp_path / "pets/test/cat/0.png"
        content = picture.read_bytes()
        picture.unlink()
        assert stages_run(dvc(repeated, "repro", data)) == {"data"}
        assert json.loads(record.read_text())["sizes"]["test"] == 7
        picture.write_bytes((tmp_path / "pets/test/cat/1.png").read_bytes())  # of another content
        assert stages_run(dvc(repeated, "repro", data)) == {"data"}
        picture.write_bytes(content)
        (tmp_path / "pets/.DS_Store").write_bytes(b"x")
        dvc(repeated, "repro", data)  # the first result, out of DVC's cache

        before = (repeated / "data/inputs.json").read_bytes()
        (tmp_path / "pets").rename(tmp_path / "away")
        output = dvc(repeated, "repro", data)
        assert stages_run(output) == set() and "not on this machine" in output
        assert (repeated / "data/inputs.json").read_bytes() == before
    dvc(repeated, "checkout", "--force")
    assert stale_now(repeated) <= {"report@digits-lenet"}
