"""Committed results as dvc.lock lists them, and the code that made them."""

from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.gate.results import Result, in_order, read_results, reads
from neumeta.gate.side import module_of
from tests.committed import committed


def result(name: str, deps: tuple[str, ...] = (), outs: tuple[str, ...] = ()) -> Result:
    return Result(name, ("python", "-m", "neumeta.stages.x"), deps, outs, "0")


@pytest.mark.parametrize(
    ("dep", "out", "expected"),
    [
        ("data/a.json", "data/a.json", True),
        ("data/orders", "data/orders/a.json", True),
        ("data/inr/seed-0.json", "data/inr", True),
        ("data/a.json", "data/b.json", False),
        ("data/order", "data/orders/a.json", False),
        ("data/orders/a.json", "data/orders/a", False),
    ],
)
def test_a_run_reads_files_and_folders(dep: str, out: str, expected: bool) -> None:
    assert reads(result("b", deps=(dep,)), result("a", outs=(out,))) is expected


def test_parents_stand_before_children() -> None:
    index = result("index", ("reports",), ("index.html",))
    report = result("report@a", ("inr/a", "data/a"), ("reports/a.json",))
    train = result("train@a", ("data/a",), ("inr/a",))
    data = result("data@a", (), ("data/a",))
    assert in_order([index, report, train, data]) == [data, train, report, index]


def test_a_run_that_reads_its_own_out_is_no_circle() -> None:
    resumed = result("train@a", ("inr/a",), ("inr/a",))
    assert in_order([resumed]) == [resumed]


def test_a_circle_is_one_line() -> None:
    both = [result("a", ("y",), ("x",)), result("b", ("x",), ("y",))]
    with pytest.raises(UserError, match=r"^dvc\.lock: a reads what follows from itself$"):
        in_order(both)


def test_committed_results_of_the_project_are_read_in_order(tmp_path: Path) -> None:
    results = read_results(committed(tmp_path, "dvc.lock"))
    place = {r.name: number for number, r in enumerate(results)}
    assert "code" not in place and len(results) == len(place)
    assert place["data@digits"] < place["fetch@digits-lenet"] < place["train@digits-lenet"]
    assert place["train@digits-lenet"] < place["report@digits-lenet"] < place["index"]
    assert all(r.identity for r in results) and {r.stage for r in results} >= {"train", "index"}
    module, flags = module_of(next(r for r in results if r.name == "train@digits-lenet"))
    assert module.endswith(".train") and flags[:2] == ["--experiment", "digits-lenet"]


def test_a_project_without_results_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dvc\.lock: cannot read"):
        read_results(tmp_path)


def test_a_lock_of_before_identities_is_read(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  a@b:\n    cmd: python -m x\n")
    (found,) = read_results(tmp_path)
    assert found == Result("a@b", ("python", "-m", "x"), (), (), None) and found.stage == "a"


def test_a_command_that_runs_no_module_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^a: its command is not `python -m MODULE"):
        module_of(Result("a", ("sh", "run.sh"), (), (), "0"))
