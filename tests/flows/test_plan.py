"""The plan: order, selection, reasons."""

import pytest

from flows.errors import FlowError
from flows.plan import FOLLOWS, RUN, UP_TO_DATE, Plan, Stage, make_plan

STAGES = [
    Stage("index", parents=("report@a", "report@b")),
    Stage("data@digits"),
    Stage("train@a", parents=("data@digits",)),
    Stage("train@b", parents=("data@digits",)),
    Stage("report@a", parents=("train@a",)),
    Stage("report@b", parents=("train@b",)),
]


def names(plan: Plan) -> list[str]:
    return [s.name for s in plan.stages]


def test_waves_put_parents_first_and_siblings_side_by_side() -> None:
    waves = [[s.name for s in wave] for wave in make_plan(STAGES, {}).waves]
    assert waves == [
        ["data@digits"],
        ["train@a", "train@b"],
        ["report@a", "report@b"],
        ["index"],
    ]


def test_a_stage_waits_for_its_last_parent() -> None:
    stages = [Stage("a"), Stage("b", parents=("a",)), Stage("c", parents=("a", "b"))]
    assert [(s.name, s.wave) for s in make_plan(stages, {}).stages] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]


def test_a_cycle_is_one_line() -> None:
    with pytest.raises(FlowError, match=r"cycle among a, b$"):
        make_plan([Stage("a", parents=("b",)), Stage("b", parents=("a",)), Stage("c")], {})


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["a"], ["data@digits", "train@a", "report@a"]),
        (["train@b"], ["data@digits", "train@b"]),
        (["train"], ["data@digits", "train@a", "train@b"]),
        (["digits"], ["data@digits"]),
        (["train@b", "report@a"], ["data@digits", "train@a", "train@b", "report@a"]),
        (["index"], names(make_plan(STAGES, {}))),
        (None, names(make_plan(STAGES, {}))),
        ([], names(make_plan(STAGES, {}))),
    ],
)
def test_targets_select_with_ancestors(targets: list[str] | None, expected: list[str]) -> None:
    assert names(make_plan(STAGES, {}, targets)) == expected


@pytest.mark.parametrize("target", ["nope", "", "train@", "train@c"])
def test_an_unknown_target_names_what_is_allowed(target: str) -> None:
    with pytest.raises(FlowError) as raised:
        make_plan(STAGES, {}, [target])
    text = str(raised.value)
    assert repr(target) in text and "\n" not in text
    assert "a, b, digits" in text and "data, train, report" in text.replace("index, ", "")


def test_status_and_reason_go_down_the_graph() -> None:
    plan = make_plan(STAGES, {"train@a": "param a.train.lr: 1 -> 2"})
    assert {s.name: (s.status, s.why) for s in plan.stages} == {
        "data@digits": (UP_TO_DATE, "up to date"),
        "train@a": (RUN, "param a.train.lr: 1 -> 2"),
        "train@b": (UP_TO_DATE, "up to date"),
        "report@a": (FOLLOWS, "reads from train@a"),
        "report@b": (UP_TO_DATE, "up to date"),
        "index": (FOLLOWS, "reads from report@a"),
    }


def test_force_runs_the_selected_stages_and_not_their_ancestors() -> None:
    plan = make_plan(STAGES, {}, ["train@a"], force=True)
    assert [(s.name, s.status, s.why, s.selected) for s in plan.stages] == [
        ("data@digits", UP_TO_DATE, "up to date", False),
        ("train@a", RUN, "forced", True),
    ]


def test_a_plan_prints_as_aligned_lines() -> None:
    text = str(make_plan(STAGES, {"train@a": "command changed"}, ["a"]))
    assert text.splitlines() == [
        "3 stages in 3 waves: 1 to run, 1 may follow, 1 up to date",
        "wave  stage        status      why",
        "1     data@digits  up to date  up to date",
        "2     train@a      run         command changed",
        "3     report@a     follows     reads from train@a",
    ]


def test_items_are_the_experiments_and_data_sets() -> None:
    assert make_plan(STAGES, {}, ["a"]).items == ("digits", "a")
