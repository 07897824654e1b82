"""Code of earlier revisions, as git has it."""

import subprocess
from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.history import git, revisions, tree_at
from neumeta.core.identity import closure_of, read_tree


def commit(root: Path, **files: str) -> str:
    """Write files, `__` standing for `/`, and commit all there is."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    identity = ("-c", "user.name=Toy", "-c", "user.email=toy@example.org")
    git(root, "add", "-A")
    git(root, *identity, "commit", "-q", "-m", "Change", "--allow-empty")
    return git(root, "rev-parse", "HEAD").decode().strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


LOCK = "requirements.lock"


def test_a_tree_holds_the_package_the_lock_and_the_ledger_of_its_revision(root: Path) -> None:
    (root / LOCK).write_text("torch==1\n")
    first = commit(root, **{"neumeta__stages__train.py": "X = 1", "README.md": "x"})
    (root / LOCK).write_text("torch==2\n")
    (root / "neumeta/.hidden").write_text("x")
    second = commit(root, **{"neumeta__stages__train.py": "X = 2", "code.yaml": "# Empty.\n"})
    (root / "neumeta/stages/train.py").write_text("X = 3")  # what is not committed does not count
    train = "neumeta/stages/train.py"
    assert tree_at(root, first) == {train: b"X = 1", LOCK: b"torch==1\n"}
    assert tree_at(root, "HEAD") == tree_at(root, second)
    assert tree_at(root, second) == {
        train: b"X = 2",
        LOCK: b"torch==2\n",
        "code.yaml": b"# Empty.\n",
    }


def test_a_clean_tree_gives_the_same_identity_from_git_and_from_files(root: Path) -> None:
    style = {"neumeta__stages__page.css": "p {}", "neumeta__stages__.gitignore": "x"}
    commit(root, **{"neumeta__stages__train.py": "X = 1", LOCK: "torch==1\n"}, **style)
    here, there = (closure_of("train", tree) for tree in (read_tree(root), tree_at(root, "HEAD")))
    assert here == there and "neumeta/stages/page.css" in here.files


def test_a_revision_without_the_package_is_empty(root: Path) -> None:
    assert tree_at(root, commit(root, **{"README.md": "x"})) == {}


def test_revisions_are_listed_newest_first(root: Path) -> None:
    made = [commit(root, **{"README.md": str(number)}) for number in range(3)]
    assert list(revisions(root, 10)) == made[::-1]
    assert list(revisions(root, 2)) == made[:0:-1]


def test_an_unknown_revision_is_one_line(root: Path) -> None:
    commit(root, **{"README.md": "x"})
    with pytest.raises(UserError, match=r"^git ls-tree: .*nope") as raised:
        tree_at(root, "nope")
    assert "\n" not in str(raised.value)


def test_a_folder_without_a_repository_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match=r"^git rev-list: .*not a git repository"):
        list(revisions(tmp_path / "bare", 1))


def test_a_machine_without_git_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(UserError, match=r"^git ls-tree: No such file or directory; the code needs"):
        tree_at(root, "HEAD")
