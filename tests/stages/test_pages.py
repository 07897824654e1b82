"""Pages as the stages write them: the same bytes on any day, with examples that run."""

import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from neumeta.__main__ import main as neumeta
from tests.stages.commands import run_stage

PAGES = ("report", "study_report", "index")


def written() -> dict[str, bytes]:
    """Every file below `reports`."""
    return {path.as_posix(): path.read_bytes() for path in Path("reports").rglob("*.*")}


def commit(message: str) -> None:
    """Commit all files of the current folder."""
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "gc.auto=0")
    for words in (("add", "-A"), ("commit", "-q", "--allow-empty", "-m", message)):
        subprocess.run(["git", *identity, *words], check=True)


def test_pages_are_the_same_bytes_at_any_commit_and_in_none(copy: Path) -> None:
    """They tell what the records of the stages say, and nothing of the moment."""
    before = written()
    assert {path for path in before if path.endswith(".html")} == {
        "reports/digits-lenet/index.html",
        "reports/permutation-study/index.html",
        "reports/index.html",
    }
    (copy / ".gitignore").write_text("data\n")
    subprocess.run(["git", "init", "-q"], check=True)
    for number in (1, 2):
        commit(f"commit {number}")
        assert [run_stage(stage) for stage in PAGES] == [0] * len(PAGES)
        assert written() == before
        status = subprocess.run(["git", "status", "--porcelain"], capture_output=True, check=True)
        assert status.stdout == b""
    (copy / "params.yaml").write_text((copy / "params.yaml").read_text() + "\n")  # not committed
    assert [run_stage(stage) for stage in PAGES] == [0] * len(PAGES)
    assert written() == before


def test_both_kinds_of_page_tell_the_code_and_the_parameters_of_their_runs(finished: Path) -> None:
    for name, parts in (("digits-lenet", ("train", "sweep")), ("permutation-study", ("study",))):
        page = (finished / f"reports/{name}/index.html").read_text(encoding="utf-8")
        assert "Stage times" in page and "made outside of a git repository" in page
        assert all(f'<details id="params-{part}">' in page for part in (*parts, "report"))


def examples(page: Path) -> dict[str, str]:
    """The code of section `use` of a page, by caption."""
    part = page.read_text(encoding="utf-8").split('<details id="use">')[1].split("</details>")[0]
    found = re.findall(r"<figcaption>(.*?)</figcaption>.*?<code>(.*?)</code>", part, re.DOTALL)
    return {caption: unescape(code) for caption, code in found}


def test_the_example_in_python_runs_as_it_stands(finished: Path) -> None:
    code = examples(finished / "reports/digits-lenet/index.html")["From Python"]
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=finished, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == ""
    assert re.fullmatch(r"\d+ of 100 are right\n", done.stdout)


def test_the_examples_in_the_shell_run_as_they_stand(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    code = examples(finished / "reports/digits-lenet/index.html")["From the shell"]
    commands = [shlex.split(line) for line in code.split("\n") if line]
    assert [words[:2] for words in commands] == [["neumeta", "info"], ["neumeta", "evaluate"]]
    for words in commands:
        assert neumeta(words[1:]) == 0, capsys.readouterr().err
