"""The flow on a toy pipeline, against a real server and with real child processes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from flows import width_report as width_report_module
from flows.errors import FlowError
from flows.plan import PlannedStage, Stage
from flows.server import healthy
from flows.stage_task import StageResult
from flows.width_report import blockers, main
from tests.flows.toy import (
    PROJECT,
    Flows,
    alive,
    dvc,
    edit,
    flow_environment,
    shell,
    wait_for,
)

# DVC 3.67 reads an attribute that pygtrie has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def test_a_stage_is_blocked_by_failed_and_by_skipped_parents() -> None:
    results = {
        "a": StageResult("a", "failed"),
        "b": StageResult("b", "skipped"),
        "c": StageResult("c", "cached"),
    }
    stage = PlannedStage(Stage("d", parents=("a", "b", "c")), 2, "run", "")
    assert blockers(stage, results) == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--targets", "nope"], "unknown target 'nope': dvc.yaml has the experiments and datasets"),
        (["--dry", "--experiments", "a"], "--dry leaves params.yaml alone, so it excludes"),
    ],
)
def test_a_mistake_of_the_user_is_one_line(
    done: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
) -> None:
    monkeypatch.setenv("NEUMETA_ROOT", str(done))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {text}") and error.count("\n") == 1


def test_a_folder_without_a_pipeline_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUMETA_ROOT", str(tmp_path))
    assert main([]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: cannot read the pipeline: ")


def test_a_dry_run_prints_the_plan_and_runs_nothing(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUMETA_ROOT", str(done))
    edit(done, "train: {add: 100", "train: {add: 150")
    lock = (done / "dvc.lock").read_bytes()
    assert main(["--dry", "--targets", "alpha"]) == 0
    assert "run         param alpha.train.add: 100 -> 150\n" in capsys.readouterr().out
    assert (done / "dvc.lock").read_bytes() == lock


def test_a_plan_needs_no_checkout_that_can_be_written(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(root: Path) -> None:
        raise FlowError(f"{root}: cannot be written")

    monkeypatch.setenv("NEUMETA_ROOT", str(done))
    monkeypatch.setattr(width_report_module, "check_writable", read_only)
    monkeypatch.setattr(width_report_module, "must_run", lambda root, name: True)
    assert main(["--dry", "--targets", "alpha"]) == 0
    written = capsys.readouterr()
    assert written.out.startswith("4 stages in 4 waves: ")
    assert written.err == "note: the checkout is read-only; the plan is that of the last look\n"


def test_a_first_run_leaves_the_lock_and_files_of_dvc_repro_and_posts_artifacts(
    toy: Path, reproduced: Path, flows: Flows
) -> None:
    code, output = flows.run(toy)
    assert code == 0, output
    assert output.rstrip().endswith("8 ran")
    locks = [yaml.safe_load((root / "dvc.lock").read_text()) for root in (toy, reproduced)]
    assert locks[0] == locks[1]
    assert (toy / "reports/index.json").read_text() == (
        reproduced / "reports/index.json"
    ).read_text()
    assert "up to date" in dvc("status", cwd=toy)
    assert "train of alpha starts" in output  # the stage's own line, live in the log
    found = {a["key"]: a for a in flows.post("artifacts/latest/filter", {"limit": 50})}
    assert {"plan", "stages", "progress", "report-alpha", "report-beta", "changes"} <= set(found)
    assert "report-digits" not in found  # a data set has no report
    assert found["progress"]["data"] == 100.0
    assert "| 8 | 97.00 |" in found["report-alpha"]["data"]
    assert "| accuracy.mean | 111 |" in found["report-alpha"]["data"]


def test_a_changed_run_leaves_the_bytes_of_dvc_repro_and_commits_them_alone(
    done: Path, tmp_path: Path, flows: Flows
) -> None:
    shell("cp", "-r", str(done), str(tmp_path / "by-hand"), cwd=tmp_path)
    for root in (done, tmp_path / "by-hand"):
        edit(root, "train: {add: 100", "train: {add: 150")
    dvc("repro", cwd=tmp_path / "by-hand")
    (done / "notes.txt").write_text("mine")
    shell("git", "add", "notes.txt", cwd=done)
    code, output = flows.run(done, "--commit")
    assert code == 0, output
    assert output.rstrip().endswith("3 ran, 5 cached")  # train and report of alpha, index
    assert "train of beta starts" not in output
    assert (done / "dvc.lock").read_bytes() == (tmp_path / "by-hand/dvc.lock").read_bytes()
    title, *names = shell("git", "show", "--name-only", "--format=%s", "HEAD", cwd=done).split("\n")
    assert title == "Run the pipeline: digits, alpha, beta"
    assert {"dvc.lock", "reports/index.json"} <= {*names}
    assert all(n in ("", "dvc.lock") or n.startswith("reports/") for n in names)
    assert "A  notes.txt" in shell("git", "status", "--short", cwd=done)


def test_experiments_are_switched_first_and_force_runs_the_targets_alone(
    done: Path, flows: Flows
) -> None:
    (done / "neumeta").mkdir()  # stands in for the real command, which knows no toy
    (done / "neumeta/__init__.py").touch()
    (done / "neumeta/__main__.py").write_text(
        "import pathlib, sys; p = pathlib.Path('params.yaml')\n"
        "if sys.argv[1] == 'use':\n"
        "    p.write_text(p.read_text().replace(', beta: digits}', '}', 1))\n"
    )
    lock = (done / "dvc.lock").read_bytes()
    flags = ("--targets", "fetch", "--force", "--commit")
    code, output = flows.run(done, "--experiments", "alpha", *flags)
    assert code == 0, output
    assert output.rstrip().endswith("1 ran, 1 cached")
    assert "fetch of alpha starts" in output and "fetch of beta" not in output
    assert (done / "dvc.lock").read_bytes() == lock
    shown = shell("git", "show", "--name-only", "--format=", "HEAD", cwd=done)
    assert shown.split() == ["params.yaml"]  # the lock and the reports did not change


def test_a_second_run_is_cached_and_leaves_nothing_to_commit(done: Path, flows: Flows) -> None:
    lock = (done / "dvc.lock").read_bytes()
    code, output = flows.run(done, "--targets", "fetch@beta", "--commit")
    assert code == 0, output
    assert output.rstrip().endswith("2 cached") and "nothing to commit" in output
    assert (done / "dvc.lock").read_bytes() == lock


def test_a_failed_stage_stops_its_descendants_only(done: Path, flows: Flows) -> None:
    edit(done, "fetch: {add: 20}", "fetch: {add: 21, fail: no such file}")
    edit(done, "train: {add: 100", "train: {add: 150")
    code, output = flows.run(done)
    assert code == 1
    last = output.rstrip().splitlines()[-1]
    assert last == (
        "error: failed: fetch@beta; not started: train@beta, report@beta, index (2 ran, 2 cached)"
    )
    assert "fetch@beta ended with exit code 255: fetch of beta: no such file" in output
    assert "Traceback" not in output
    assert "151" not in (done / "data/alpha/train.json").read_text()
    assert '"mean": 161' in (done / "data/alpha/train.json").read_text()
    run = flows.post("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    assert run["state_type"] == "FAILED" and "failed: fetch@beta" in run["state"]["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ending_the_flow_ends_the_training_at_once(
    done: Path, flows: Flows, number: signal.Signals
) -> None:
    lock = (done / "dvc.lock").read_bytes()
    edit(
        done,
        "alpha: {fetch: {add: 10}, train: {add: 100, sleep: 0}}",
        "alpha: {fetch: {add: 10}, train: {add: 100, sleep: 60}}",
    )
    process = flows.start(done, "--targets", "train@alpha")
    file = done / "train-alpha.pid"
    pid = int(wait_for(lambda: file.exists() and file.read_text(), 60, "training did not start"))
    assert alive(pid)
    process.send_signal(number)
    start = time.monotonic()
    wait_for(lambda: not alive(pid), 30, "the training still runs")
    seconds = time.monotonic() - start
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert (done / "dvc.lock").read_bytes() == lock
    print(f"{number.name}: training ended after {seconds:.2f} s")
    if number == signal.SIGKILL:  # even then no lock is left behind
        edit(done, "sleep: 60", "sleep: 0")
        dvc("repro", "train@alpha", cwd=done)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_ends_the_flow_and_the_server_that_it_started(
    done: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C reaches the whole process group, without a server configured, as a user has it."""
    edit(done, "{add: 100, sleep: 0}", "{add: 100, sleep: 60}")
    home = tmp_path / "prefect"
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.width_report", "--targets", "train@alpha"],
        cwd=PROJECT,
        env=flow_environment(done, home) | {"PREFECT_SERVER_UI_ENABLED": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    file = done / "train-alpha.pid"
    pid = int(wait_for(lambda: file.exists() and file.read_text(), 90, "training did not start"))
    (found,) = set(re.findall(r"http://127.0.0.1:\d+", (home / "server.log").read_text()))
    assert healthy(f"{found}/api")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    output, _ = process.communicate(timeout=40)
    assert process.returncode != 0
    assert not alive(pid)
    wait_for(lambda: not healthy(f"{found}/api"), 20, "the server still runs")
    if number == signal.SIGINT:
        assert output.splitlines()[-1] == "error: interrupted; the running stages were stopped"
        assert process.returncode == 130


def test_importing_the_flows_loads_neither_torch_nor_neumeta() -> None:
    code = (
        "import flows.width_report, flows.deploy, sys; "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'neumeta')])"
    )
    root = Path(__file__).parents[2]
    assert shell(sys.executable, "-c", code, cwd=root).strip() == "[]"
