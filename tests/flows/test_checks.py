"""What a run needs of machine and checkout is looked at first, and told in one line."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from flows import checks, deploy, width_report
from flows.checks import check_git, check_machine, check_python, check_writable
from flows.environment import child_environment
from flows.errors import FlowError
from flows.server import check_port
from flows.sharding import MOST_WORKERS, Sharding
from tests.flows.toy import PROJECT, dvc, shell

# DVC 3.67 reads an attribute that pygtrie has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Python without any package."""
    place = tmp_path_factory.mktemp("other") / "env"
    venv.create(place, symlinks=True)
    return place / "bin"


@pytest.mark.parametrize(
    ("command", "code", "lacking"),
    [
        (["neumeta.stages.inputs", "--selected", "a", "--out", "b"], 1, "without torch, numpy, "),
        (["neumeta", "check"], 1, "without torch, numpy, "),
        (["flows.width_report"], 2, "without prefect, dvc"),
        (["flows.deploy"], 2, "without prefect, dvc"),
    ],
)
def test_another_python_is_one_line(
    other: Path, command: list[str], code: int, lacking: str
) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [other / "python", "-m", *command], cwd=PROJECT, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert str(other / "python") in done.stderr and lacking in done.stderr


def test_another_python_deletes_no_report(done: Path, other: Path) -> None:
    """By plain DVC, of a report that is stale; the toy as dvc.yaml has it: outs of git persist."""
    text = (
        (done / "dvc.yaml").read_text().replace("{cache: false}", "{cache: false, persist: true}")
    )
    (done / "dvc.yaml").write_text(text.replace("cmd: python stage.py", "cmd: python -m neumeta x"))
    reports = {path: path.read_bytes() for path in (done / "reports").rglob("*.*")}
    path = os.pathsep.join([str(other), "/usr/bin", "/bin"])
    failed = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "-s", "report@alpha", "index"],
        cwd=done,
        env={**child_environment(), "PATH": path, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert failed.returncode != 0 and "not the Python of this project" in failed.stderr
    assert len(reports) == 7
    assert {path: path.read_bytes() for path in (done / "reports").rglob("*.*")} == reports


def test_stages_meet_the_python_of_the_flow(done: Path, other: Path, tmp_path: Path) -> None:
    check_python(done)
    with pytest.raises(FlowError, match=r"which is .*/env/bin/python here, not the Python of"):
        check_python(done, {"PATH": str(other)})
    with pytest.raises(FlowError, match="there is no `python` on PATH"):
        check_python(done, {"PATH": str(tmp_path)})
    broken = tmp_path / "python"
    broken.write_text("not a program")
    broken.chmod(0o755)
    with pytest.raises(FlowError, match=f"{broken}: does not run "):
        check_python(done, {"PATH": str(tmp_path)})


def test_a_folder_that_cannot_be_written_is_named(done: Path) -> None:
    check_writable(done)
    with pytest.raises(FlowError, match="/proc: cannot be written "):
        check_writable(Path("/proc"))


@pytest.mark.parametrize("flag", ["--push", "--pull"])
@pytest.mark.parametrize("main", [width_report.main, deploy.main])
def test_without_a_remote_it_says_what_to_do_before_it_runs(
    done: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    main: object,
    flag: str,
) -> None:
    monkeypatch.setenv("NEUMETA_ROOT", str(done))
    assert callable(main) and main([flag]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {flag}: DVC has no remote to use; name one with `dvc remote")
    assert error.count("\n") == 1
    dvc("remote", "add", "--default", "store", str(tmp_path / "store"), cwd=done)
    check_machine(done, pull=True, push=True)


def test_git_is_asked_first_whether_it_would_commit(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_git(done)
    (done / ".git/MERGE_HEAD").write_text(shell("git", "rev-parse", "HEAD", cwd=done))
    with pytest.raises(FlowError, match="--commit: a merge is not finished"):
        check_git(done)
    (done / ".git/MERGE_HEAD").unlink()
    shell("git", "config", "--unset", "user.email", cwd=done)
    shell("git", "config", "user.useConfigOnly", "true", cwd=done)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(FlowError, match="--commit: git does not know who you are"):
        check_git(done)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(FlowError, match="is no checkout of git"):
        check_git(tmp_path)


def test_a_check_that_fails_starts_nothing(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUMETA_ROOT", str(done))
    monkeypatch.setattr(checks, "child_environment", lambda: {"PATH": ""})
    before = sorted(done.rglob("*"))
    assert width_report.main([]) == 2
    assert capsys.readouterr().err.startswith("error: there is no `python` on PATH")
    assert sorted(done.rglob("*")) == before
    assert width_report.main(["--dry"]) == 0  # a plan needs no interpreter


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("127.0.0.1", 70000, "--port 70000: must be from 1 to 65535"),
        ("127.0.0.1", 0, "--port 0: must be from 1 to 65535"),
        ("no.invalid", 4200, "--host 'no.invalid': not an address of this machine"),
        ("192.0.2.1", 4200, "--host '192.0.2.1': not an address of this machine"),
        ("", 4200, "--host '': not an address of this machine"),
        ("a" * 70, 4200, "not an address of this machine"),
    ],
)
def test_a_wrong_port_or_host_is_one_line(host: str, port: int, text: str) -> None:
    with pytest.raises(FlowError) as raised:
        check_port(host, port)
    assert text in str(raised.value) and "\n" not in str(raised.value)


def test_workers_of_our_own_are_limited() -> None:
    assert Sharding(MOST_WORKERS).workers == MOST_WORKERS
    with pytest.raises(FlowError, match=f"workers {MOST_WORKERS + 1}: at most {MOST_WORKERS}"):
        Sharding(MOST_WORKERS + 1)
    Sharding(MOST_WORKERS + 1, "tcp://10.0.0.5:8786")


def test_errors_of_the_command_line_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for main in (width_report.main, deploy.main):
        with pytest.raises(SystemExit) as raised:
            main(["--no-such-flag"])
        error = capsys.readouterr().err
        assert raised.value.code == 2
        assert error == "error: unrecognized arguments: --no-such-flag (see --help)\n"
