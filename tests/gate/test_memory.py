"""Kept runs: found again by all that they depend on."""

from pathlib import Path

import pytest

from neumeta.gate.memory import Memory, run_key
from neumeta.gate.results import Result

TRAIN = Result(
    name="train@a",
    command=("python", "-m", "neumeta.stages.train"),
    deps=("data/a", "data/b.json"),
    outs=("inr", "a.csv"),
    identity="0",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a stage ran."""
    place = tmp_path / "run"
    for name, text in {
        "params.yaml": "a: 1",
        "data/a/one.json": "1",
        "data/b.json": "2",
        "inr/seed-0": "weights",
        "a.csv": "table",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def test_a_run_is_named_after_all_that_it_depends_on(folder: Path) -> None:
    key = run_key(TRAIN, "code", folder, "given")
    assert key == run_key(TRAIN, "code", folder, "given") and len(key) == 24
    other = Result(TRAIN.name, (*TRAIN.command, "--fast"), TRAIN.deps, TRAIN.outs, "0")
    found = {key, run_key(TRAIN, "other", folder, "given"), run_key(TRAIN, "code", folder, "x")}
    found.add(run_key(other, "code", folder, "given"))
    for name, text in {"params.yaml": "a: 2", "data/b.json": "3", "data/a/one.json": "3"}.items():
        before = (folder / name).read_text()
        (folder / name).write_text(text)
        found.add(run_key(TRAIN, "code", folder, "given"))
        (folder / name).write_text(before)
    (folder / "data/a/two.json").write_text("1")
    found.add(run_key(TRAIN, "code", folder, "given"))
    (folder / "data/a/two.json").rename(folder / "data/a/three.json")
    found.add(run_key(TRAIN, "code", folder, "given"))
    assert len(found) == 9


def test_outs_do_not_name_a_run(folder: Path) -> None:
    key = run_key(TRAIN, "code", folder, "given")
    (folder / "a.csv").write_text("another")
    assert run_key(TRAIN, "code", folder, "given") == key


def test_a_kept_run_comes_back(folder: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes-of-it"
    notes.write_text("lines")
    Memory(tmp_path / "kept").keep("key", folder, TRAIN.outs, notes)
    target, back = tmp_path / "again", tmp_path / "notes/back"
    memory = Memory(tmp_path / "kept")
    assert not memory.restore("other", target, None)
    assert memory.restore("key", target, back)
    assert (target / "inr/seed-0").read_text() == "weights"
    assert (target / "a.csv").read_text() == "table" and back.read_text() == "lines"
    assert sorted(p.name for p in target.iterdir()) == ["a.csv", "inr"]


def test_a_run_without_notes_does_not_do_where_they_are_wanted(
    folder: Path, tmp_path: Path
) -> None:
    memory = Memory(tmp_path / "kept")
    memory.keep("key", folder, TRAIN.outs, None)
    assert not memory.restore("key", tmp_path / "again", tmp_path / "notes")
    assert not (tmp_path / "again").exists()
    assert memory.restore("key", tmp_path / "again", None)


def test_a_run_that_wrote_nothing_is_kept_as_such(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "kept")
    memory.keep("key", tmp_path / "empty", ["a.csv"], None)
    assert memory.restore("key", tmp_path / "again", None)
    assert list((tmp_path / "again").iterdir()) == []


def test_a_newer_run_replaces_the_kept_one(folder: Path, tmp_path: Path) -> None:
    memory = Memory(tmp_path / "kept")
    memory.keep("key", folder, TRAIN.outs, None)
    (folder / "inr/seed-0").rename(folder / "inr/seed-1")
    memory.keep("key", folder, TRAIN.outs, None)
    memory.restore("key", tmp_path / "again", None)
    assert [p.name for p in (tmp_path / "again/inr").iterdir()] == ["seed-1"]


def test_what_was_not_used_is_forgotten(folder: Path, tmp_path: Path) -> None:
    first = Memory(tmp_path / "kept")
    for key in ("used", "made before", "unused"):
        first.keep(key, folder, TRAIN.outs, None)
    (tmp_path / "kept/.half-written").mkdir()
    second = Memory(tmp_path / "kept")
    second.restore("used", tmp_path / "again", None)
    second.keep("new", folder, TRAIN.outs, None)
    second.forget_others()
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"used", "new"}
