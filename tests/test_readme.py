"""The README's figures are those of the committed reports."""

import pandas as pd

from neumeta.results import read_results
from tests.toy import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = {
    "digits-lenet": (24, 16, 8, 6, 4),
    "mnist-lenet": (32, 24, 16, 8, 6, 4),
    "cifar10-resnet20": (64, 48, 32, 24, 16),
    "cifar10-resnet56": (64, 48, 32, 24, 16),
    "cifar10-resnet20-all": (64, 48, 32),
}
METHODS = ("neumeta", "individual", "interpolated", "pruned-l1-finetuned")


def cell(values: pd.Series) -> str:
    """Mean and standard deviation over seeds, in per cent."""
    if values.empty:
        return "–"
    mean = f"{100 * values.mean():.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * values.std():.1f}"


def results_of(experiment: str) -> pd.DataFrame:
    """The committed result table of one experiment."""
    return read_results(ROOT / "reports" / experiment / "accuracy_vs_width.csv")


def table_of(experiment: str) -> str:
    """The lines of one experiment, as the README must show them."""
    results = results_of(experiment)
    lines = []
    for width in SHOWN[experiment]:
        rows = results[results.width == width]
        params = int(rows["params"].iloc[0])
        seen = "" if bool(rows["seen"].iloc[0]) else " (never built)"
        cells = [cell(rows.loc[rows.method == method, "accuracy"]) for method in METHODS]
        lines.append(f"| {experiment} | {width}{seen} | {params:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_tables_are_the_measured_ones() -> None:
    for experiment in SHOWN:
        assert table_of(experiment) in README, f"README must hold:\n{table_of(experiment)}"


def means_of(experiment: str) -> pd.Series:
    """Mean accuracy over seeds, by method and width."""
    return results_of(experiment).groupby(["method", "width"])["accuracy"].mean()


def test_drops_on_cifar_are_the_measured_ones() -> None:
    means = means_of("cifar10-resnet20")
    drops = [100 * (means["base", 64] - means["neumeta", width]) for width in (64, 48, 32, 16)]
    text = " / ".join(f"{drop:.1f}" for drop in drops)
    assert f"loses {text} points of the base at h = 64 / 48 / 32 / 16" in README
    better = means["slimmable"] - means["neumeta"]
    assert {width for width in better.dropna().index if better[width] > 0} == {32, 36, 40, 44, 48}
    assert f"up to {100 * better.max():.2f} points better at h = 32 to 48" in README


def test_claims_on_the_other_resnets_are_the_measured_ones() -> None:
    deep = means_of("cifar10-resnet56")
    without, whole = deep["bypass"].iloc[0], deep["base"].iloc[0]
    assert f"still has {100 * without:.1f} % of its {100 * whole:.1f} %" in README
    assert 100 * (whole - deep["neumeta"].min()) < 0.3
    assert set(deep["neumeta"].index) >= set(range(16, 65))
    every = means_of("cifar10-resnet20-all")
    methods = ("neumeta", "interpolated", "slimmable", "pruned-l1-finetuned")
    ours, interpolated, slimmable, tuned = (f"{100 * every[method, 32]:.1f}" for method in methods)
    text = " ".join(README.split())
    assert f"leave the INR at {ours} % at half the hidden channels" in text
    assert f"interpolation falls to {interpolated} %, slimmable training has {slimmable} %" in text
    assert f"pruning with fine-tuning {tuned} %" in text


def test_paths_that_the_readme_names_exist() -> None:
    for path in ("reports/digits-lenet/accuracy_vs_width.svg", "requirements.lock", ".ci/run"):
        assert path in README
        assert (ROOT / path).is_file()
    for line in README.splitlines():
        if line.startswith("| `"):
            assert (ROOT / line.split("`")[1]).is_file(), line
