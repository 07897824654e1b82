"""Reading a real DVC repository."""

from pathlib import Path

import pytest

from flows.dvc_graph import differences, read_graph, read_plan
from flows.errors import FlowError
from tests.flows.toy import STAGES, dvc, edit

# DVC 3.67 reads an attribute that pygtrie has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def reasons(root: Path) -> dict[str, str]:
    return read_graph(root)[1]


def test_stages_carry_what_dvc_yaml_says(toy: Path) -> None:
    stages, changes = read_graph(toy)
    by_name = {stage.name: stage for stage in stages}
    assert sorted(by_name) == sorted(STAGES)
    fetch = by_name["fetch@alpha"]
    assert fetch.command == "python stage.py fetch alpha data/digits.json data/alpha/fetch.json"
    assert fetch.deps == ("data/digits.json",)
    assert fetch.outs == ("data/alpha/fetch.json",)
    assert fetch.params == ("params.yaml:alpha.fetch",)
    assert fetch.parents == ("data@digits",)
    assert (fetch.family, fetch.item) == ("fetch", "alpha")
    assert by_name["index"].parents == ("report@alpha", "report@beta")  # by way of a folder
    assert changes == dict.fromkeys(STAGES, "no entry in dvc.lock")


@pytest.mark.parametrize(
    ("meta", "takes"),
    [("{shards: true}", True), ("{shards: false}", False), ("{owner: me}", False), ("text", False)],
)
def test_a_stage_says_in_meta_that_it_takes_shards(meta: str, takes: bool, toy: Path) -> None:
    edit(
        toy,
        "cmd: python stage.py train",
        f"meta: {meta}\n      cmd: python stage.py train",
        "dvc.yaml",
    )
    found = {stage.name: stage.shards for stage in read_graph(toy)[0]}
    trains = {"train@alpha", "train@beta"}
    assert found == {name: takes and name in trains for name in STAGES}


def test_shards_must_be_yes_or_no(toy: Path) -> None:
    edit(
        toy,
        "cmd: python stage.py index",
        "meta: {shards: 4}\n    cmd: python stage.py index",
        "dvc.yaml",
    )
    with pytest.raises(FlowError, match=r"index: meta: shards is 4; must be true or false"):
        read_graph(toy)


def test_reading_changes_nothing(toy: Path) -> None:
    before = sorted(p.name for p in toy.iterdir())
    read_plan(toy)
    assert sorted(p.name for p in toy.iterdir()) == before
    assert not (toy / "dvc.lock").exists()


def test_what_dvc_repro_ran_is_up_to_date(done: Path) -> None:
    assert reasons(done) == {}
    assert {s.status for s in read_plan(done).stages} == {"up to date"}


def test_a_changed_parameter_is_named_with_both_values(done: Path) -> None:
    edit(done, "train: {add: 100", "train: {add: 150, lr: 1")
    plan = read_plan(done, ["alpha"])
    assert {s.name: (s.status, s.why) for s in plan.stages if s.status != "up to date"} == {
        "train@alpha": ("run", "param alpha.train.add: 100 -> 150; param alpha.train.lr new"),
        "report@alpha": ("follows", "reads from train@alpha"),
    }


def test_a_changed_command_and_a_deleted_out_are_named(done: Path) -> None:
    edit(done, "python stage.py index -", "python  stage.py index -", "dvc.yaml")
    (done / "data/alpha/fetch.json").unlink()
    (done / "reports/alpha/metrics.json").write_text("{}")
    assert reasons(done) == {
        "index": "command changed",
        "fetch@alpha": "out data/alpha/fetch.json deleted",
        "train@alpha": "dep data/alpha/fetch.json deleted",
        "report@alpha": "out reports/alpha/metrics.json modified",
    }


def test_the_plan_agrees_with_dvc_status(done: Path) -> None:
    edit(done, "fetch: {add: 20}", "fetch: {add: 21}")
    assert list(reasons(done)) == ["fetch@beta"]
    assert dvc("status", cwd=done).startswith("fetch@beta:")


def test_a_plan_is_read_while_another_process_holds_the_lock(done: Path) -> None:
    (done / ".dvc/tmp").mkdir(exist_ok=True)
    (done / ".dvc/tmp/rwlock").write_text(
        f'{{"{done}/data/alpha/train.json": {{"write": {{"pid": 1, "cmd": "dvc repro"}}}}}}'
    )
    assert reasons(done) == {}


@pytest.mark.parametrize("spoil", ["no repository", "broken dvc.yaml", "missing key"])
def test_errors_are_one_line_that_names_the_place(toy: Path, tmp_path: Path, spoil: str) -> None:
    root = toy
    if spoil == "no repository":
        root = tmp_path / "empty"
        root.mkdir()
    elif spoil == "broken dvc.yaml":
        (toy / "dvc.yaml").write_text("stages: [a")
    else:
        edit(toy, "experiments: {alpha: digits, beta: digits}\n", "")
    with pytest.raises(FlowError) as raised:
        read_plan(root)
    assert str(root) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (1, 1, []),
        (1, 2, ["t: 1 -> 2"]),
        ({"a": 1, "b": 2}, {"a": 1, "c": 3}, ["t.b deleted", "t.c new"]),
        ({"a": {"x": [1]}}, {"a": {"x": [1, 2]}}, ["t.a.x: [1] -> [1, 2]"]),
        ({"a": 1}, None, ["t: {'a': 1} -> None"]),
    ],
)
def test_differences_name_the_leaves(old: object, new: object, expected: list[str]) -> None:
    assert differences("t", old, new) == expected
