"""The stage that writes the identity of every other stage's code."""

import json
from pathlib import Path

import pytest

from neumeta.core.identity import closure_of, read_tree
from neumeta.core.ledger import LEDGER, Entry, write_ledger
from neumeta.stages.code import main
from tests.stages.commands import command_of
from tests.toy import write_toy_params


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two stages, the current folder."""
    for path, text in {
        "neumeta/stages/code.py": "X = 1\n",
        "neumeta/stages/train.py": "from neumeta import steps\n",
        "neumeta/steps.py": "STEPS = 3\n",
        "requirements.lock": "torch==2.13.0\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    write_toy_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(project: Path) -> dict[str, str]:
    assert main(command_of("code")) == 0
    found: dict[str, str] = json.loads((project / "code.json").read_text())
    return found


def test_identities_are_those_of_code_and_ledger(project: Path) -> None:
    code = closure_of("train", read_tree(project)).digest()
    assert written(project) == {"train": code}
    entry = Entry(identity="0" * 16, why="Rename", base="0" * 12, twins=1)
    write_ledger(project / LEDGER, {"train": {code: entry}})
    assert written(project) == {"train": "0" * 16}
    (project / "neumeta/steps.py").write_text("STEPS = 4\n")
    assert written(project) == {"train": closure_of("train", read_tree(project)).digest()}


@pytest.mark.parametrize(
    ("path", "content", "text"),
    [
        ("neumeta/steps.py", "def f(:", "neumeta/steps.py: not Python: line 1: "),
        ("code.yaml", "train: 3", "code.yaml: not a ledger of code: "),
        ("neumeta/stages/morph/train.py", "", "two modules are called stage 'train': "),
        (
            "params.yaml",
            "run: [other, more]",
            "data/selected.json: is not of this list; run `neumeta use other more`",
        ),
        ("params.yaml", "data: {}", "params.yaml: no key 'run'"),
        ("data/selected.json", "{}", "data/selected.json: no key 'selected'"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str], path: str, content: str, text: str
) -> None:
    (project / path).parent.mkdir(exist_ok=True)
    (project / path).write_text(content)
    assert main(command_of("code")) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"code: error: {text}") and error.count("\n") == 1
    assert not (project / "code.json").exists()
