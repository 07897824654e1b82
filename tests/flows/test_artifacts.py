"""Artifact text, from values and small files."""

import json
from pathlib import Path

import pytest

from flows import artifacts
from flows.plan import Stage, make_plan
from flows.stage_task import StageResult

HEADER = "method,width,seen,seed,accuracy,loss,params,macs\n"
CURVE = HEADER + (
    "neumeta,8,true,0,0.97,0.1,100,200\nneumeta,8,true,1,0.95,0.1,100,200\n"
    "neumeta,9,false,0,0.5,0.1,110,220\nbrand-new,8,true,,0.25,,,\n"
)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("report", "digits-lenet"), "report-digits-lenet"),
        (("report", "My_Exp.v2/x"), "report-my-exp-v2-x"),
        (("report", "ä"), "report"),
    ],
)
def test_keys_hold_only_what_prefect_accepts(parts: tuple[str, ...], key: str) -> None:
    assert artifacts.artifact_key(*parts) == key


def test_rows_of_the_plan_and_the_results() -> None:
    plan = make_plan([Stage("a"), Stage("b", parents=("a",))], {"a": "command changed"})
    assert artifacts.plan_rows(plan) == [
        {"wave": 1, "stage": "a", "status": "run", "why": "command changed"},
        {"wave": 2, "stage": "b", "status": "follows", "why": "reads from a"},
    ]
    assert artifacts.result_rows([StageResult("a", "cached", "up to date", 0.52)]) == [
        {"stage": "a", "outcome": "cached", "seconds": 0.5, "note": "up to date"}
    ]


@pytest.mark.parametrize(
    ("results", "text"),
    [
        ([], "nothing ran"),
        ([("a", "ran"), ("b", "cached"), ("c", "ran")], "2 ran, 1 cached"),
        (
            [("a", "ran"), ("b", "failed"), ("c", "skipped")],
            "failed: b; not started: c (1 ran)",
        ),
        ([("b", "failed")], "failed: b (nothing ran)"),
    ],
)
def test_the_summary_names_failed_stages(results: list[tuple[str, str]], text: str) -> None:
    made = [StageResult(name, outcome) for name, outcome in results]  # type: ignore[arg-type]
    assert artifacts.summary(made) == text


def test_nested_metrics_become_dotted_names() -> None:
    assert artifacts.flatten({"a": {"b": 1, "c": [2, {"d": None}]}, "e": "x"}) == {
        "a.b": 1,
        "a.c.0": 2,
        "a.c.1.d": None,
        "e": "x",
    }


def test_the_report_shows_every_method_and_marks_unseen_widths(tmp_path: Path) -> None:
    metrics, curve = tmp_path / "metrics.json", tmp_path / "accuracy_vs_width.csv"
    metrics.write_text(json.dumps({"accuracy": {"mean": 0.123456789}, "note": "a|b"}))
    curve.write_text(CURVE)
    text = artifacts.report_markdown("digits-lenet", metrics, curve)
    assert text.startswith("# digits-lenet\n")
    assert "| width | neumeta | brand-new |" in text
    assert "| 8 | 96.00 (n=2) | 25.00 |" in text
    assert "| 9 * | 50.00 |  |" in text
    assert "| accuracy.mean | 0.123457 |" in text
    assert r"| note | a\|b |" in text


@pytest.mark.parametrize(
    ("metrics", "curve", "expected"),
    [
        (None, CURVE, "metrics.json cannot be read: "),
        ("{", CURVE, "metrics.json cannot be read: "),
        ("{}", None, "curve.csv cannot be read: "),
        ("{}", "a,b\n1,2\n", "curve.csv has no column accuracy, method, seen, width."),
        ("{}", HEADER + "neumeta,x,true,0,0.9,,,\n", "curve.csv cannot be read: invalid literal"),
        ("{}", HEADER + "neumeta\n", "curve.csv cannot be read: "),
        ("{}", "", "curve.csv has no column"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_in_its_place(
    tmp_path: Path, metrics: str | None, curve: str | None, expected: str
) -> None:
    for name, text in (("metrics.json", metrics), ("curve.csv", curve)):
        if text is not None:
            (tmp_path / name).write_text(text)
    made = artifacts.report_markdown("x", tmp_path / "metrics.json", tmp_path / "curve.csv")
    assert any(line.startswith(expected) for line in made.splitlines()), made


def test_an_experiment_without_a_curve_has_its_metrics(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"a": 1}')
    assert artifacts.report_markdown("x", tmp_path / "m.json") == (
        "# x\n\n## Metrics\n\n| metric | value |\n| --- | --- |\n| a | 1 |\n"
    )
