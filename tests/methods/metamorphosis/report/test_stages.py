"""The stages report and index, from files to files."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from neumeta.core.recording import git_revision
from neumeta.report.blocks import Report
from neumeta.stages import index
from neumeta.stages.metamorphosis import report
from tests.methods.metamorphosis.report.samples import write_inputs
from tests.toy import ROOT


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Inputs of the project's own digits-lenet section, and the flags of the stage."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return write_inputs(tmp_path, params)


def everything(folder: Path) -> dict[str, bytes]:
    """Content of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_report_and_index_end_to_end(flags: list[str]) -> None:
    assert report.main(flags) == 0
    assert index.main(["--summaries", "reports/summary", "--out", "reports/index.html"]) == 0
    first = everything(Path("reports"))
    assert sorted(first) == [
        "digits-lenet/ablations.csv",
        "digits-lenet/accuracy_vs_cost.svg",
        "digits-lenet/accuracy_vs_params.svg",
        "digits-lenet/accuracy_vs_width.csv",
        "digits-lenet/accuracy_vs_width.svg",
        "digits-lenet/curve.csv",
        "digits-lenet/drop_from_base.svg",
        "digits-lenet/index.html",
        "digits-lenet/losses.svg",
        "digits-lenet/measurements.csv",
        "digits-lenet/metrics.json",
        "digits-lenet/variation.svg",
        "index.html",
        "summary/digits-lenet.json",
    ]
    page = first["digits-lenet/index.html"].decode()
    assert "LeNet on handwritten digits" in page and "index_octaves" in page
    assert "8\u202fmin 10\u202fs" in page
    assert 'href="digits-lenet/index.html"' in first["index.html"].decode()
    metrics = json.loads(first["digits-lenet/metrics.json"])
    assert metrics["base_accuracy"] == 0.9833 and metrics["inr_seeds"] == 3

    assert report.main(flags) == 0
    assert index.main(["--summaries", "reports/summary", "--out", "reports/index.html"]) == 0
    assert everything(Path("reports")) == first


def test_the_inr_is_optional(flags: list[str]) -> None:
    place = flags.index("--inr")
    assert report.main(flags[:place] + flags[place + 2 :]) == 0


def test_a_report_tells_the_parameters_of_its_runs(flags: list[str]) -> None:
    """Those of the file may have changed since; the words of the report are taken from there."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["digits-lenet"]["train"]["noise"] = 0.123456
    params["digits-lenet"]["report"]["title"] = "Another title"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert report.main(flags) == 0
    page = Path("reports/digits-lenet/index.html").read_text()
    assert "Another title" in page and "0.123456" not in page
    record = Path("data/runs/train/digits-lenet.run.json")
    run = json.loads(record.read_text())
    run["params"]["train"]["noise"] = 0.654321
    record.write_text(json.dumps(run))
    assert report.main(flags) == 0
    assert "0.654321" in Path("reports/digits-lenet/index.html").read_text()


def test_a_record_of_before_is_refused(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    record = Path("data/runs/train/digits-lenet.run.json")
    run = json.loads(record.read_text())
    del run["params"]
    record.write_text(json.dumps(run))
    assert report.main(flags) == 1
    err = capsys.readouterr().err
    told = "params: Field required; run the stage that writes it again"
    assert err == f"report: error: {record}: {told}\n"


@pytest.mark.parametrize(
    "name",
    [
        "sweep.csv",
        "permute.json",
        "train.csv",
        "ablate.csv",
        "../../runs/train/digits-lenet.run.json",
    ],
)
def test_a_missing_input_is_one_line_and_leaves_the_old_report(
    flags: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("reports/digits-lenet").mkdir(parents=True)
    Path("reports/digits-lenet/index.html").write_text("an earlier report")
    before = everything(Path("reports"))
    Path("data/experiments/digits-lenet", name).unlink()
    assert report.main(flags) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("report: error: ") and Path(name).name in err
    assert everything(Path("reports")) == before


def test_an_unknown_experiment_is_one_line(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main(["--experiment", "nonesuch", *flags[2:]]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "nonesuch" in err


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "Invalid JSON"),
        ("{}", "format: Field required; run the stage that writes it again"),
        (None, "experiment is 'digits-lenet'; must be 'other'"),
    ],
)
def test_a_malformed_summary_is_one_line_and_leaves_the_old_index(
    digits_report: Report,
    text: str | None,
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("summary").mkdir()
    Path("index.html").write_text("an earlier list")
    Path("summary/other.json").write_text(digits_report.summary if text is None else text)
    assert index.main(["--summaries", "summary", "--out", "index.html"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "other.json" in err and word in err
    assert Path("index.html").read_text() == "an earlier list"


def test_index_without_a_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index.main(["--summaries", str(tmp_path / "none"), "--out", "x.html"]) == 1
    assert "no such folder; run the report stage first" in capsys.readouterr().err


def test_git_revision_tells_code_from_results(tmp_path: Path) -> None:
    assert git_revision(tmp_path) is None

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True)

    git("init", "-q")
    assert git_revision(tmp_path) is None  # no commit yet
    (tmp_path / "reports").mkdir()
    for name in ("code.py", "dvc.lock", "reports/index.html"):
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    clean = git_revision(tmp_path)
    assert clean is not None and len(clean) >= 7 and clean.isalnum()
    (tmp_path / "dvc.lock").write_text("2")
    (tmp_path / "reports/index.html").write_text("2")
    assert git_revision(tmp_path) == clean
    (tmp_path / "code.py").write_text("2")
    assert git_revision(tmp_path) == f"{clean}-dirty"
