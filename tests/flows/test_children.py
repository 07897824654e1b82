"""Child processes: their lines, their environment, and that none is left."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flows import children
from flows.children import ChildGroups, StoppedError, clean_line, run_child
from flows.environment import child_environment, defaults, project_root, set_defaults
from tests.flows.toy import PROJECT, alive, wait_for

# Writes its process id to a file and sleeps; as a grandchild it also refuses SIGTERM.
SLEEPER = (
    "import os, pathlib, time; pathlib.Path('{}').write_text(str(os.getpid())); time.sleep(60)"
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


def read_pid(file: Path) -> int:
    return int(wait_for(lambda: file.exists() and file.read_text(), 20, f"no {file.name}"))


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("plain\n", "plain"),
        ("\r 10%\r 50%\r100%\n", "100%"),
        ("windows\r\n", "windows"),
        ("\x1b[31mred\x1b[0m\n", "red"),
        ("\r  \n", ""),
        ("no newline", "no newline"),
    ],
)
def test_clean_line_keeps_the_last_state_of_a_bar(raw: str, line: str) -> None:
    assert clean_line(raw) == line


def test_lines_come_live_with_stderr_merged_in(tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = (
        "import pathlib, sys, time\n"
        "print('first')\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        "print('second', file=sys.stderr)\n"
        "sys.exit(3)\n"
    )
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        go.touch()  # the child goes on only after its first line arrived

    result = run_child([sys.executable, "-c", code], tmp_path, on_line)
    assert (result.code, lines) == (3, ["first", "second"])
    assert result.tail == ("first", "second")


def test_a_signal_gives_128_plus_its_number(tmp_path: Path) -> None:
    result = run_child(["sh", "-c", "kill -KILL $$"], tmp_path, print)
    assert result.code == 128 + signal.SIGKILL


def test_python_of_a_child_is_the_interpreter_that_runs_us(tmp_path: Path) -> None:
    lines: list[str] = []
    run_child(["python", "-c", "import sys; print(sys.prefix)"], tmp_path, lines.append)
    assert lines == [sys.prefix]


def test_a_command_leaves_no_process_behind(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import pathlib, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {SLEEPER.format(pid_file)!r}])\n"
        f"while not pathlib.Path({str(pid_file)!r}).exists(): time.sleep(0.01)\n"
    )
    assert run_child([sys.executable, "-c", code], tmp_path, print).code == 0
    assert not alive(read_pid(pid_file))


def test_stop_ends_a_grandchild_that_ignores_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "CHILDREN", ChildGroups(grace=0.5))
    pid_file = tmp_path / "pid"
    command = ["sh", "-c", f'"{sys.executable}" -c "{STUBBORN.format(pid_file)}"; true']
    results: list[int] = []
    thread = threading.Thread(
        target=lambda: results.append(run_child(command, tmp_path, print).code)
    )
    thread.start()
    pid = read_pid(pid_file)
    children.CHILDREN.stop()
    thread.join(10)
    assert not thread.is_alive() and results != [0]
    assert not alive(pid)
    with pytest.raises(StoppedError):  # a task that waited for its turn starts nothing
        run_child(["true"], tmp_path, print)
    children.CHILDREN.open()
    assert run_child(["true"], tmp_path, print).code == 0


def test_a_child_does_not_outlive_a_parent_killed_with_sigkill(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import pathlib, sys\n"
        "from flows.children import run_child\n"
        f"run_child([sys.executable, '-c', {SLEEPER.format(pid_file)!r}], pathlib.Path('.'), print)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT)
    pid = read_pid(pid_file)
    parent.kill()
    parent.wait()
    wait_for(lambda: not alive(pid), 10, "the child still runs")


def test_the_folder_of_the_interpreter_comes_first_on_path_once() -> None:
    folder = str(Path(sys.executable).parent)
    path = child_environment({"PATH": f"/usr/bin:{folder}:/bin"})["PATH"]
    assert path.split(os.pathsep) == [folder, "/usr/bin", "/bin"]


def test_defaults_fill_in_and_never_overwrite(tmp_path: Path) -> None:
    env = {"NEUMETA_ROOT": str(tmp_path), "DO_NOT_TRACK": "0"}
    set_defaults(env)
    assert env["DO_NOT_TRACK"] == "0"
    assert env["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert env["PREFECT_HOME"] == str(tmp_path / ".prefect")
    assert set(env) == {"NEUMETA_ROOT", *defaults(tmp_path)}


def test_the_root_is_this_repository_unless_the_environment_names_another(tmp_path: Path) -> None:
    assert project_root({}) == PROJECT
    assert project_root({"NEUMETA_ROOT": str(tmp_path)}) == tmp_path.resolve()
