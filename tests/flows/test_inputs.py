"""The stage `inputs`, which looks at raw data every time, runs before the plan."""

from pathlib import Path

import pytest

from flows.dvc_graph import must_run, read_plan
from flows.width_report import INPUTS, main
from tests.flows.test_code import lines_of
from tests.flows.toy import dvc, edit, shell

# DVC 3.67 reads an attribute that pygtrie has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

ENTRY = """\
  inputs:
    cmd: cp "$RAW" inputs.json
    always_changed: true
    deps: [stage.py]
    outs:
      - inputs.json: {cache: false, persist: true}
"""


@pytest.fixture
def root(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toy whose data depend on a file that lies elsewhere."""
    edit(toy, "stages:\n", f"stages:\n{ENTRY}", "dvc.yaml")
    edit(toy, '["data.${item}"]', '["data.${item}", {inputs.json: [raw]}]', "dvc.yaml")
    (tmp_path / "raw").write_text('{"raw": "3 files"}')
    monkeypatch.setenv("RAW", str(tmp_path / "raw"))
    monkeypatch.setenv("NEUMETA_ROOT", str(toy))
    dvc("repro", "-q", cwd=toy)
    shell("git", "add", "-A", cwd=toy)
    shell("git", "commit", "-q", "-m", "reproduced", cwd=toy)
    return toy


def test_a_stage_that_always_runs_makes_no_other_stale(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert must_run(root, INPUTS)
    assert {s.status for s in read_plan(root, done={INPUTS}).stages} == {"up to date"}
    assert main(["--dry"]) == 0
    assert {status for status, *_ in lines_of(capsys.readouterr().out).values()} == {"up"}


def test_a_plan_knows_that_raw_data_changed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").write_text('{"raw": "2 files"}')
    assert main(["--dry"]) == 0
    plan = lines_of(capsys.readouterr().out)
    assert plan["data@digits"] == ["run", "param raw: 3 files -> 2 files"]
    assert plan["fetch@alpha"][0] == "follows"
