"""Changed statements that did not run."""

import subprocess
import sys
from pathlib import Path

import pytest

from neumeta.gate.coverage import Unrun, changed_lines, unrun_statements

A = "neumeta/a.py"
OLD = '''\
"""A."""

import json


def f(x):
    if x:
        return 1
    return json.dumps(
        2,
    )
'''


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal trees."""
    for name in ("old-tree", "new-tree"):
        (tmp_path / name / "neumeta").mkdir(parents=True)
        (tmp_path / name / "neumeta/__init__.py").touch()
        (tmp_path / name / A).write_text(OLD)
        (tmp_path / name / "neumeta/b.py").write_text("Y = 1\n" * 5)
    return tmp_path / "old-tree", tmp_path / "new-tree"


def test_equal_trees_have_no_changed_lines(trees: tuple[Path, Path]) -> None:
    assert changed_lines(*trees) == {}


def test_changed_new_and_moved_modules(trees: tuple[Path, Path]) -> None:
    new = trees[1]
    (new / A).write_text(OLD.replace("return 1", "return 3").replace("import json\n", ""))
    (new / "neumeta/sub").mkdir()
    (new / "neumeta/b.py").rename(new / "neumeta/sub/c.py")
    with (new / "neumeta/sub/c.py").open("a") as stream:
        stream.write("Z = 1\n")
    (new / "neumeta/d.py").write_text("D = 1\nE = 2\n")
    (new / "neumeta/page.css").write_text("p {}\n")
    assert changed_lines(*trees) == {A: {7}, "neumeta/sub/c.py": {6}, "neumeta/d.py": {1, 2}}


def run(new: Path, notes: Path, code: str) -> None:
    """Run code on a tree, as the worker does, and note which statements ran."""
    script = (
        "import coverage, os, sys; sys.path.insert(0, sys.argv[1]); "
        "watch = coverage.Coverage(data_file=sys.argv[2], config_file=False, "
        "source=[os.path.join(sys.argv[1], 'neumeta')]); "
        f"watch.start(); {code}; watch.stop(); watch.save()"
    )
    notes.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-I", "-c", script, str(new), str(notes)]
    subprocess.run(command, check=True, cwd=new.parent, timeout=60)


CALL = "from neumeta.a import f; f({})"


@pytest.mark.parametrize(
    ("old", "new", "code", "unrun"),
    [
        ("return 1", "return 3", CALL.format(1), {}),
        ("return 1", "return 3", CALL.format(0), {A: (8,)}),
        ("return 1", "return 3", "import json", {A: (8,)}),
        ("        2,\n", "        3,\n", CALL.format(0), {}),
        # The changed line is the second of a statement, which the first one stands for.
        ("        2,\n", "        3,\n", CALL.format(1), {A: (9,)}),
        ("return 1", "return 3  # pragma: no cover", CALL.format(0), {A: (8,)}),
    ],
)
def test_a_changed_statement_runs_or_not(
    trees: tuple[Path, Path], old: str, new: str, code: str, unrun: dict[str, tuple[int, ...]]
) -> None:
    assert OLD.count(old) == 1
    (trees[1] / A).write_text(OLD.replace(old, new))
    run(trees[1], trees[1].parent / "notes/one", code)
    found = unrun_statements(*trees, trees[1].parent / "notes", {A})
    assert found == Unrun(1, unrun) and found.count == len(unrun)


def test_one_run_of_many_is_enough(trees: tuple[Path, Path]) -> None:
    text = OLD.replace("return 1", "return 3").replace("        2,", "        3,")
    (trees[1] / A).write_text(text)
    notes = trees[1].parent / "notes"
    for number in (0, 1):
        run(trees[1], notes / f"run{number}", CALL.format(number))
    assert unrun_statements(*trees, notes, {A}) == Unrun(2, {})
    assert sorted(path.name for path in notes.iterdir()) == ["run0", "run1"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A."""', '"""B."""'),
        ("    return json", "    # A comment.\n    return json"),
        ("import json\n", "import json\n\nif TYPE_CHECKING:\n    import a\n"),
    ],
)
def test_what_cannot_run_is_not_counted(trees: tuple[Path, Path], old: str, new: str) -> None:
    (trees[1] / A).write_text(OLD.replace(old, new))
    (trees[1].parent / "notes").mkdir()
    assert unrun_statements(*trees, trees[1].parent / "notes", {A}) == Unrun(0, {})


def test_files_that_no_stage_runs_do_not_count(trees: tuple[Path, Path]) -> None:
    (trees[1] / A).write_text(OLD.replace("return 1", "return 3"))
    (trees[1].parent / "notes").mkdir()
    assert unrun_statements(*trees, trees[1].parent / "notes", set()) == Unrun(0, {})


def test_notes_of_an_earlier_comparison_are_read_as_of_this_tree(
    trees: tuple[Path, Path], tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier/new-tree"
    for new in (trees[1], earlier):
        (new / "neumeta").mkdir(parents=True, exist_ok=True)
        (new / "neumeta/__init__.py").touch()
        (new / A).write_text(OLD.replace("return 1", "return 3"))
    run(earlier, tmp_path / "notes/one", CALL.format(1))
    assert unrun_statements(*trees, tmp_path / "notes", {A}) == Unrun(1, {})
