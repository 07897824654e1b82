"""The README's figures are those of the committed reports."""

import json
import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from neumeta.measure.frames import read_frame
from neumeta.measure.results import read_results
from neumeta.measure.statistics import Spread
from neumeta.methods.metamorphosis.columns import ABLATION_COLUMNS
from tests.committed import committed
from tests.toy import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXT = " ".join(README.split())
SHOWN = {
    "digits-lenet": (24, 16, 8, 6, 4),
    "mnist-lenet": (32, 24, 16, 8, 6, 4),
    "cifar10-resnet20": (64, 48, 32, 24, 16),
    "cifar10-resnet56": (64, 48, 32, 24, 16),
    "cifar10-resnet20-all": (64, 48, 32),
}
METHODS = ("neumeta", "individual", "merged", "interpolated", "pruned-l1-finetuned")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of reports as it is committed; a run since then may have other digits."""
    return committed(tmp_path_factory.mktemp("committed"), "reports") / "reports"


def cell(values: pd.Series) -> str:
    """Mean and standard deviation over seeds, in per cent."""
    if values.empty:
        return "–"
    mean = f"{100 * values.mean():.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * values.std():.1f}"


def results_of(reports: Path, experiment: str) -> pd.DataFrame:
    """The committed result table of one experiment."""
    return read_results(reports / experiment / "accuracy_vs_width.csv")


def table_of(reports: Path, experiment: str) -> str:
    """The lines of one experiment, as the README must show them."""
    results = results_of(reports, experiment)
    lines = []
    for width in SHOWN[experiment]:
        rows = results[results.width == width]
        params = int(rows["params"].iloc[0])
        seen = "" if bool(rows["seen"].iloc[0]) else " (never built)"
        cells = [cell(rows.loc[rows.method == method, "accuracy"]) for method in METHODS]
        lines.append(f"| {experiment} | {width}{seen} | {params:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_tables_are_the_measured_ones(reports: Path) -> None:
    for experiment in SHOWN:
        table = table_of(reports, experiment)
        assert table in README, f"README must hold:\n{table}"


def means_of(reports: Path, experiment: str) -> pd.Series:
    """Mean accuracy over seeds, by method and width."""
    return results_of(reports, experiment).groupby(["method", "width"])["accuracy"].mean()


def test_claims_on_resnet20_are_the_measured_ones(reports: Path) -> None:
    means = means_of(reports, "cifar10-resnet20")
    drops = [100 * (means["base", 64] - means["neumeta", width]) for width in (64, 48, 32, 16)]
    text = " / ".join(f"{drop:.1f}" for drop in drops)
    assert f"loses {text} points of the base at h = 64 / 48 / 32 / 16" in TEXT
    better = (means["slimmable"] - means["neumeta"]).dropna()
    assert {width for width in better.index if better[width] > 0} == {32, 36, 40, 44, 48}
    assert f"up to {100 * better.max():.2f} points better at h = 32 to 48" in TEXT
    assert ((means["integral"] - means["neumeta"]).dropna() < 0).all()
    fallen = " and ".join(f"{100 * means[method, 16]:.0f}" for method in ("slimmable", "integral"))
    assert f"they fall to {fallen} % at h = 16" in TEXT
    ahead = (means["individual"] - means["neumeta"]).dropna() > 0
    assert set(ahead[ahead].index) == {24, 16}


def test_networks_pruned_and_tuned_for_their_width_are_ahead_or_level(reports: Path) -> None:
    for experiment in SHOWN:
        means = means_of(reports, experiment)
        for scores in ("l1", "l2", "random"):
            method = f"pruned-{scores}-finetuned"
            if method in means.index:
                assert (means[method] - means["neumeta"]).dropna().min() > -0.001, experiment


def test_the_merge_is_ahead_where_the_readme_says(reports: Path) -> None:
    def ahead(experiment: str, widths: tuple[int, ...]) -> dict[int, bool]:
        means = means_of(reports, experiment)
        return {w: means["merged", w] > means["neumeta", w] for w in widths}

    assert all(ahead("digits-lenet", SHOWN["digits-lenet"]).values())
    lenet = ahead("mnist-lenet", SHOWN["mnist-lenet"])
    assert [width for width, found in lenet.items() if not found] == [8]
    deep = means_of(reports, "cifar10-resnet56")
    assert all(abs(deep["merged", w] - deep["neumeta", w]) < 0.003 for w in (64, 48, 32, 24, 16))
    last = ahead("cifar10-resnet20", SHOWN["cifar10-resnet20"])
    assert [width for width, found in last.items() if not found] == [32, 24, 16]
    every = means_of(reports, "cifar10-resnet20-all")
    both = [
        " and ".join(f"{100 * every[method, width]:.1f}" for width in (48, 32))
        for method in ("merged", "neumeta")
    ]
    assert f"{both[0]} against {both[1]} at h = 48 and 32" in TEXT


def test_claims_on_the_other_resnets_are_the_measured_ones(reports: Path) -> None:
    deep = means_of(reports, "cifar10-resnet56")
    without, whole = deep["bypass"].iloc[0], deep["base"].iloc[0]
    assert f"scores {100 * without:.1f} % without it and {100 * whole:.1f} % with it" in TEXT
    assert 100 * (whole - deep["neumeta"].min()) < 0.3
    assert set(deep["neumeta"].index) >= set(range(16, 65))
    assert all(abs(deep["slimmable", width] - whole) < 0.001 for width in range(32, 65, 4))
    every = means_of(reports, "cifar10-resnet20-all")
    assert f"{100 * every['neumeta', 64]:.1f} % at full width" in TEXT
    assert f"{100 * every['neumeta', 32]:.1f} % at half the hidden channels" in TEXT
    methods = ("interpolated", "pruned-l1-finetuned", "individual")
    interpolated, tuned, alone = (f"{100 * every[method, 32]:.1f}" for method in methods)
    assert f"interpolation falls to {interpolated} %" in TEXT
    assert f"pruning with fine-tuning has {tuned} %" in TEXT
    assert f"trained from scratch for as many steps has {alone} %" in TEXT
    wide = " / ".join(f"{100 * every['slimmable', width]:.1f}" for width in (64, 48, 32))
    assert f"slimmable training is better at every width ({wide} % at h = 64 / 48 / 32)" in TEXT
    shared = every["slimmable"].index.intersection(every["neumeta"].index)
    assert (every["slimmable"][shared] > every["neumeta"][shared]).all()


def test_individual_networks_are_better_where_the_readme_says(reports: Path) -> None:
    for experiment, widths in (("cifar10-resnet20", [24, 16]), ("digits-lenet", [24, 4])):
        means = means_of(reports, experiment)
        assert all(means["individual", width] >= means["neumeta", width] for width in widths)


class Measured(NamedTuple):
    """One row of the ablations at one width, in per cent."""

    mean: float
    std: float
    dead: bool

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.std:.1f}"


def ablations(reports: Path, table: str) -> dict[tuple[str, int], Measured]:
    """The committed ablations of one table, by row and width."""
    rows = read_frame(reports / "cifar10-resnet20/ablations.csv", ABLATION_COLUMNS)
    found = {}
    for _, part in rows[rows.table == table].groupby(["row", "width"]):
        accuracy, first = 100 * part["accuracy"], part.iloc[0]
        point = Measured(accuracy.mean(), accuracy.std(), bool(part["collapsed"].all()))
        found[str(first["row"]), int(first["width"])] = point
    return found


def test_the_table_of_what_extrapolates_is_the_measured_one(reports: Path) -> None:
    found = ablations(reports, "extrapolation")
    rows = {row for row, _ in found}
    assert len(rows) == 11
    for row in rows:
        cells = ["dead" if found[row, h].dead else str(found[row, h]) for h in (16, 64)]
        assert f"| {row} | {cells[0]} | {cells[1]} |" in README, (row, cells)


def test_claims_on_the_supplement_are_the_measured_ones(reports: Path) -> None:
    residual, arrangement = ablations(reports, "table-3"), ablations(reports, "table-4")
    ours = residual["residual", 64]
    assert f"({ours} with, {residual['not residual', 64]} without)" in TEXT
    averaged = [ablations(reports, "table-5")[decay, 64].mean for decay in ("0", "0.99", "0.995")]
    assert max(averaged) - min(averaged) < 0.2
    cost = ours.mean - arrangement["single", 64].mean
    assert f"one MLP for all tensors costs {cost:.1f} points" in TEXT
    size = {
        row: point.mean
        for (row, width), point in ablations(reports, "table-2").items()
        if width == 64
    }
    assert size["5 / 256 / 7"] > size["8 / 192 / 7"] and size["5 / 192 / 7"] > size["5 / 96 / 7"]
    for (row, _), point in ablations(reports, "loss-weights").items():
        if row in ("1 and 1e-4", "0 and 1e-4", "1 and 0"):
            assert round(point.mean) == 76


def test_paths_that_the_readme_names_exist(reports: Path) -> None:
    for path in ("reports/digits-lenet/accuracy_vs_width.svg", "requirements.lock", ".ci/run"):
        assert path in README
        assert (reports.parent if path.startswith("reports/") else ROOT).joinpath(path).is_file()
    for line in README.splitlines():
        if line.startswith("| `"):
            assert (ROOT / line.split("`")[1]).is_file(), line


STUDY = "permutation-study"
ORDERS = {
    "original": "original",
    "random": "random",
    "layer-greedy": "layer-wise greedy",
    "layer-2-opt": "layer-wise 2-opt",
    "ours": "ours",
}


def test_the_table_of_orders_is_the_measured_one(reports: Path) -> None:
    variation = pd.read_csv(reports / STUDY / "variation.csv")
    accuracy = pd.read_csv(reports / STUDY / "accuracy.csv")
    main = variation[variation.network == "cifar10-resnet20"].set_index("strategy")["variation"]
    before = main["original"].mean()
    for strategy, label in ORDERS.items():
        own = accuracy[accuracy.strategy == strategy]
        cells = [cell(own.loc[own.width == width, "accuracy"]) for width in (64, 48, 32, 24, 16)]
        total, spread = main[strategy].mean(), main[strategy].std()
        shown = f"{total:,.0f}" + (f" ± {spread:,.0f}" if spread > 0 else "")
        change = f"{100 * (total / before - 1):+.1f}".replace("-", "−")
        change = "0" if change[1:] == "0.0" else change
        line = f"| {label} | {shown} | {change} | {' | '.join(cells)} |"
        assert line in README, line


def test_claims_on_the_study_are_the_measured_ones(reports: Path) -> None:
    variation = pd.read_csv(reports / STUDY / "variation.csv")
    means = variation.groupby(["network", "strategy"])["variation"].mean().unstack()
    assert len(means) == 8 and (means.idxmin(axis=1) == "ours").all()
    change = 100 * (means["ours"] / means["original"] - 1)
    least, most = (f"{abs(value):.1f}" for value in (change.max(), change.min()))
    assert f"by {least} to {most} % against the original" in TEXT
    groups = pd.read_csv(reports / STUDY / "groups.csv")
    ours = groups[groups.strategy == "ours"]
    worst = math.ceil(1e4 * ours.gap_of_worst_run.max()) / 100
    assert f"within {worst:.2f} % of the shortest path in every one of {len(ours)} groups" in TEXT
    main = json.loads((reports / STUDY / "metrics.json").read_text())["networks"][
        "cifar10-resnet20"
    ]
    assert f"it is −{abs(100 * main['change']):.1f} %" in TEXT
    assert main["gap"] < 0.001  # no order can take another 0.1 % off its paths


def test_claims_on_the_inrs_of_the_study_are_the_measured_ones(reports: Path) -> None:
    accuracy = pd.read_csv(reports / STUDY / "accuracy.csv")
    table = 100 * accuracy.pivot(index=["seed"], columns=["strategy", "width"], values="accuracy")

    def apart(one: str, other: str, width: int) -> tuple[float, bool]:
        """Mean difference seed by seed, and whether 0 is outside its 95 % interval."""
        difference = table[one, width] - table[other, width]
        value = Spread.of(difference)
        return value.mean, value.told_apart

    gains = {width: apart("ours", "original", width) for width in (64, 48, 32, 24, 16)}
    assert [sure for _, sure in gains.values()] == [False, False, True, True, True]
    shown = " / ".join(f"{gain:.1f}" for gain, sure in gains.values() if sure)
    assert f"{shown} points better than from the original at h = 32 / 24 / 16" in TEXT
    ahead = {width: apart("layer-2-opt", "ours", width) for width in gains}
    assert [sure for _, sure in ahead.values()] == [True, False, False, False, False]
    assert f"layer-wise 2-opt is {ahead[64][0]:.1f} points better at h = 64" in TEXT
    assert not any(apart("random", "original", width)[1] for width in gains)
