"""The benchmarks run at toy size, and their figures are what they say."""

import re
from dataclasses import replace

import pytest
import torch

from neumeta.permute.solvers import SOLVERS
from tests.benchmarks import ours, reference
from tests.benchmarks.__main__ import main
from tests.benchmarks.case import TINY, make_case
from tests.benchmarks.timing import compare, flops, share, side_by_side


def test_every_benchmark_prints_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tiny", "--repeats", "1", "--draws", "2", "3"]) == 0
    lines = [row for row in capsys.readouterr().out.splitlines() if not row.startswith("#")]
    lines, solved = lines[:18], lines[18:]
    assert [row.split()[0] for row in solved] == [
        *(f"solver-{solver}-toy" for solver in SOLVERS),
        "bound-toy",
    ]
    best = dict(row.split()[:1] + row.split()[2:3] for row in solved[:-1])
    assert best["solver-best-toy"] == "0.00%"
    figure = r"[\d.]+(ms|s|GFLOP/s)"
    assert all(re.fullmatch(rf"\S+ +{figure} +{figure} +[\d.]+", row) for row in lines)
    assert [row.split()[0] for row in lines] == [
        "step-float32",
        "step-bfloat16",
        "step-float32-lean-reference",
        "step-bfloat16-lean-reference",
        "step-float32-with-features",
        "step-bfloat16-with-features",
        "peak-share-float32",
        "peak-share-bfloat16",
        "sweep-float32-K2",
        "sweep-bfloat16-K2",
        "sweep-float32-K3",
        "sweep-bfloat16-K3",
        *(f"{name}-K{k}" for k in (2, 3) for name in ("sample", "switch", "switch-kept")),
    ]


def test_ratios_are_reference_over_ours_and_rate_over_peak() -> None:
    assert compare("step", 0.02, 1.5).split() == ["step", "20.0ms", "1.50s", "75.00"]
    assert share("peak", 2e9, 8e9).split() == ["peak", "2.0GFLOP/s", "8.0GFLOP/s", "0.25"]


def test_actions_take_turns_after_one_call_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 5.0, 6.0, 6.0, 7.0, 7.0, 9.0, 9.0, 19.0, 19.0, 22.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    calls: list[str] = []
    a, b = side_by_side([lambda: calls.append("a"), lambda: calls.append("b")], 3)
    assert calls == ["a", "b"] * 4
    assert (a.median, a.fastest, b.median, b.fastest) == (5, 1, 2, 1)


def test_operations_are_counted_forward_and_backward() -> None:
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(3, 4, requires_grad=True)
    assert flops(lambda: (a @ b).sum().backward()) == 3 * 2 * 2 * 3 * 4


def test_both_sides_of_the_sweep_score_the_same_network() -> None:
    """One exact draw of the same INR, so the same accuracy and the same loss."""
    case = make_case(replace(TINY, images=300))
    inr = ours.trainer_of(case, "float32").inr
    inr.scale *= 10  # so that the answers hang on the generated block
    assert ours.sweep_of(case, inr, "float32")[1](1) == pytest.approx(
        reference.sweep_of(case, inr)(1), rel=1e-5
    )


def test_the_lean_reference_takes_the_same_steps_with_less_work() -> None:
    case = make_case(TINY)
    inr = ours.trainer_of(case, "float32").inr
    full, lean = (reference.step_of(case, inr, lean=lean) for lean in (False, True))
    assert [full() for _ in range(3)] == pytest.approx([lean() for _ in range(3)], rel=1e-5)
    assert flops(full) > 1.5 * flops(lean)
