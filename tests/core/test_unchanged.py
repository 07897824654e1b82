"""A result is refused where its code changed while it was made, or before it was started."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import neumeta.core.unchanged
from neumeta.core.errors import UserError
from neumeta.core.identity import closure_of, read_tree
from neumeta.core.ledger import LEDGER, Entry, write_ledger
from neumeta.core.stage import staged
from neumeta.core.unchanged import unchanged

TRAIN = """\
from neumeta import steps


def later():
    import neumeta.lazy
"""
FILES = {
    "neumeta/stages/train.py": TRAIN,
    "neumeta/stages/data.py": "X = 1\n",
    "neumeta/steps.py": '"""Steps."""\nSTEPS = 3\n',
    "neumeta/lazy.py": "Y = 1\n",
    "requirements.lock": "torch==2.13.0\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, the current folder, whose stages are asked about."""
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(neumeta.core.unchanged, "ROOT", tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    return tmp_path


def test_code_that_stays_is_accepted(root: Path) -> None:
    with unchanged("train"):
        pass


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("neumeta/steps.py", '"""Another text."""\n\nSTEPS = 3  # a note\n'),
        ("neumeta/stages/data.py", "X = 2\n"),  # of another stage
        ("neumeta/new.py", "X = 2\n"),
        ("neumeta/.steps.py.swp", "X = 2\n"),
        ("requirements.lock", "torch==2.13.0\ntqdm==2\n"),
        ("README.md", "X = 2\n"),
    ],
)
def test_what_the_stage_does_not_run_may_change(root: Path, path: str, text: str) -> None:
    with unchanged("train"):
        (root / path).write_text(text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("neumeta/steps.py", "STEPS = 4\n"),
        ("neumeta/lazy.py", "Y = 2\n"),
        ("neumeta/stages/train.py", "from neumeta import steps\n"),
        ("neumeta/page.css", "p {}"),
    ],
)
def test_an_edit_of_its_code_is_refused_and_named(root: Path, path: str, text: str) -> None:
    with (
        pytest.raises(UserError, match="changed while the stage ran") as raised,
        unchanged("train"),
    ):
        (root / path).write_text(text)
    changed = "neumeta/lazy.py" if "train.py" in path else path  # it is imported no more
    assert str(raised.value).startswith(changed)


def test_another_version_of_a_package_is_refused(root: Path) -> None:
    (root / "neumeta/steps.py").write_text("import torch\n")
    with pytest.raises(UserError, match=r"^the locked packages changed"), unchanged("train"):
        (root / "requirements.lock").write_text("torch==2.14.0\n")


def test_a_module_that_is_gone_or_broken_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match=r"^neumeta/lazy\.py changed"), unchanged("train"):
        (root / "neumeta/lazy.py").unlink()
    with pytest.raises(UserError, match=r"^neumeta/steps\.py: not Python"), unchanged("train"):
        (root / "neumeta/steps.py").write_text("def f(:\n")


def test_an_error_of_the_stage_is_not_hidden(root: Path) -> None:
    with pytest.raises(ValueError, match="mine"), unchanged("train"):
        (root / "neumeta/steps.py").write_text("STEPS = 4\n")
        raise ValueError("mine")


def code_of(root: Path) -> str:
    return closure_of("train", read_tree(root)).digest()


def write_identities(root: Path, **identities: str) -> None:
    (root / "code.json").write_text(json.dumps(identities))


@pytest.mark.parametrize("entered", ["old", None])
def test_under_dvc_an_old_identity_is_refused_at_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, entered: str | None
) -> None:
    write_identities(root, **({"train": entered} if entered else {}))
    with unchanged("train"):  # by hand, nothing is entered
        pass
    monkeypatch.setenv("DVC_STAGE", "train@digits")
    ran = []
    with pytest.raises(UserError, match=r"^code\.json is older than the code"), unchanged("train"):
        ran.append(1)
    assert not ran


def test_under_dvc_the_identity_of_the_ledger_is_good(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", "train@digits")
    with unchanged("train"):  # a folder without identities, as in a test
        pass
    write_identities(root, train=code_of(root))
    with unchanged("train"):
        pass
    write_ledger(root / LEDGER, {"train": {code_of(root): Entry("old", "Rename", "0", 1)}})
    write_identities(root, train="old")
    with unchanged("train"):
        pass


def test_a_refused_stage_ends_with_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def body(edit: Callable[[], object]) -> Callable[[], None]:
        return lambda: (print("done"), edit())[0]

    assert staged("train", body(lambda: None)) == 0
    assert staged("train", body(lambda: (root / "neumeta/lazy.py").write_text("Y = 3\n"))) == 1
    out, error = capsys.readouterr()
    assert out == "done\ndone\n"
    assert error.startswith("train: error: neumeta/lazy.py changed") and error.count("\n") == 1
