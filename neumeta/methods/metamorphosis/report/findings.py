"""The few sentences and numbers that stand for an experiment."""

from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from neumeta.methods.metamorphosis.report.budgets import budget
from neumeta.methods.metamorphosis.report.inputs import ReportInputs
from neumeta.methods.metamorphosis.report.looks import OURS, TEXTS, describe
from neumeta.methods.metamorphosis.report.tables import key_widths
from neumeta.report import overview
from neumeta.report.blocks import KeyFigure
from neumeta.report.overview import rounded
from neumeta.report.wording import change, percent, points, several, whole

_CURVES = ("neumeta", "individual", "bypass")  # of the overview


class Gap(NamedTuple):
    """How far one method lies below another at one width."""

    value: float  # difference of mean accuracies, a fraction; negative is above
    width: int
    widths: int  # number of widths compared


def worst_gap(inputs: ReportInputs, seen: bool = True) -> Gap | None:
    """Find the width, trained or never built, where NeuMeta lies furthest below `individual`."""
    ours = inputs.of("neumeta").query("seen == @seen")["mean"]
    gaps = (inputs.of("individual")["mean"] - ours).dropna()
    return None if gaps.empty else Gap(float(gaps.max()), int(str(gaps.idxmax())), len(gaps))


def headline(inputs: ReportInputs) -> str:
    """Say in plain sentences what was measured, whatever methods are present."""
    ours, gap, far = inputs.of("neumeta"), worst_gap(inputs), worst_gap(inputs, seen=False)
    digits = inputs.digits
    tested = f", {whole(inputs.tested)} test examples" if inputs.tested else ""
    if ours.empty:
        return TEXTS("none", methods=", ".join(m.name for m in inputs.methods), tested=tested)
    sentences = [_reach(ours, digits)]
    if gap:
        among = f"the {gap.widths} trained widths" if gap.widths > 1 else "the one trained width"
        value, key = points(gap.value, digits), "below" if gap.value > 0 else "level"
        sentences.append(TEXTS(key, points=value, width=gap.width, among=among))
    if far:
        value, side = points(far.value, digits), "below" if far.value > 0 else "above"
        whom = "them" if gap else "networks trained one by one"
        sentences.append(TEXTS("unseen", points=value, side=side, whom=whom, width=far.width))
    seeds = several(int(ours["n"].max()), "INR seed")
    return " ".join([*sentences, TEXTS("means", seeds=seeds, tested=tested)])


def _reach(ours: pd.DataFrame, digits: int) -> str:
    at = {w: f"{percent(mean, digits)} at width {w}" for w, mean in ours["mean"].items()}
    low, high = ours.index[[0, -1]]
    each = "every width" if len(ours) == high - low + 1 else f"{len(ours)} widths"
    widths = f"{each} from {low} to {high}" if low < high else f"width {low}"
    seen, unseen = ours.index[ours["seen"]], ours.index[~ours["seen"]]
    first, last = (ours.index if seen.empty else seen)[[0, -1]]
    ends = f"{at[last]} and {at[first]}" if first < last else at[last]
    ends += ", the ends of the trained range" if first < last and len(seen) else ""
    far = max(unseen, key=lambda width: max(first - width, width - last), default=None)
    told = TEXTS("far", at=at[far]) if far in at and len(seen) else ""
    return TEXTS("reach", widths=widths, ends=ends, far=told)


def key_figures(inputs: ReportInputs) -> list[KeyFigure]:
    """Choose one to five large numbers of the page; what was not measured is left out."""
    found, digits, total = [], inputs.digits, inputs.variation.total_variation
    seen = inputs.of("neumeta").query("seen")
    spots = {"base network": inputs.of("base").tail(1)}
    spots |= {"NeuMeta, largest trained width": seen.tail(1)}
    spots |= {"NeuMeta, smallest trained width": seen.head(1)} if len(seen) > 1 else {}
    for label, rows in spots.items():
        for width, n, mean, params in rows[["n", "mean", "params"]].itertuples():
            note = f"width {width}, {whole(params)} parameters, n = {n}"
            found.append(KeyFigure(percent(mean, digits), label, note))
    if gap := worst_gap(inputs):
        label = f"{'below' if gap.value > 0 else 'above'} individual networks, at worst"
        note = f"at width {gap.width}, of {gap.widths} trained widths compared"
        trained = budget("individual", inputs.params).rstrip(".")
        note += f"; they had {trained}" if trained else ""
        found.append(KeyFigure(points(gap.value, digits), label, note))
    gained = change(total["before"].sum, total["after"].sum)
    return [*found, KeyFigure(gained, "total variation", "by the permutation, all tensors")]


def metrics(inputs: ReportInputs) -> dict[str, Any]:
    """Collect the numbers that `dvc metrics diff` compares, and no times, so that reruns agree."""
    stats, keys, ours = inputs.stats, key_widths(inputs.stats), inputs.of("neumeta")
    gap, total = worst_gap(inputs), inputs.variation.total_variation

    def by_width(values: pd.Series) -> dict[str, float]:
        return {f"h{width}": rounded(value) for width, value in values.items() if width in keys}

    accuracy: dict[str, dict[str, float]] = {}
    for name, rows in stats[stats["n"] > 0].groupby("method"):
        accuracy[str(name)] = by_width(rows["mean"].droplevel("method"))
        for seen, value in rows.groupby("seen")["mean"].agg(fmean).items():
            accuracy[str(name)]["mean_seen" if seen else "mean_unseen"] = rounded(value)
    found: dict[str, Any] = {"accuracy": accuracy}
    if inputs.base is not None:
        found["base_accuracy"] = rounded(inputs.base)
        found["drop_from_base"] = by_width(inputs.base - ours["mean"])
    if gap:
        found["worst_gap_to_individual"] = {"accuracy": rounded(gap.value), "width": gap.width}
    if len(ours):
        found["inr_seeds"] = int(ours["n"].max())
    sums: dict[str, float] = {order: rounded(total[order].sum) for order in total}
    if total["before"].sum > 0:
        sums["ratio"] = rounded(total["after"].sum / total["before"].sum)
    return found | {"total_variation": sums}


def facts(inputs: ReportInputs) -> dict[str, Any]:
    """Collect what the overview shows beside the page's title and headline."""
    gap, ours = worst_gap(inputs), inputs.of("neumeta")
    rows = {name: inputs.of(name) for name in (*_CURVES, "base")}
    curves = {
        name: overview.curve(own[["mean", "seen"]].itertuples()) for name, own in rows.items()
    }
    return {
        "dataset": inputs.dataset.name,
        "test_size": inputs.tested,
        "seeds": 0 if ours.empty else int(ours["n"].max()),
        "base": next(reversed(curves.pop("base")), None),
        "control": best_control(inputs),
        "worst_gap": _spot(gap.width, gap.value, "individual networks") if gap else None,
        "curves": curves,
        "looks": tuple(describe(_CURVES)),
    }


def best_control(inputs: ReportInputs) -> overview.Spot | None:
    """Find the best of what ours is compared with, at the smallest trained width of any of it."""
    own = inputs.stats.index.isin([*OURS, "base"], level="method")
    others = inputs.stats[~own].query("seen and n > 0")
    if others.empty:
        return None
    width = int(others.index.get_level_values("width").min())
    there = others.xs(width, level="width")["mean"]
    return _spot(width, there.max(), describe([str(there.idxmax())])[0].label)


def _spot(width: int, value: float, label: str) -> overview.Spot:
    return overview.Spot(width=width, accuracy=rounded(value), label=label)
