"""The few sentences and numbers that stand for an experiment."""

import itertools
from collections.abc import Iterator
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from neumeta.methods.metamorphosis.report.inputs import ReportInputs
from neumeta.methods.metamorphosis.report.looks import OURS, TEXTS, describe
from neumeta.methods.metamorphosis.report.tables import key_widths
from neumeta.report import overview
from neumeta.report.blocks import KeyFigure
from neumeta.report.overview import rounded
from neumeta.report.wording import beside, change, percent, several, whole

_CURVES = ("neumeta", "individual", "bypass")  # of the overview


class Gap(NamedTuple):
    """How far ours lies below another method at one width."""

    value: float  # difference of mean accuracies, a fraction; negative is above
    width: int
    widths: int  # number of widths compared
    label: str  # of the other method


def worst_gap(inputs: ReportInputs, seen: bool = True, method: str = "") -> Gap | None:
    """Find the width, trained or never built, where NeuMeta lies furthest below another method.

    Without a name that is the best control, another one at every width, maybe. Widths at which no
    control was trained would flatter ours and do not count, unless that holds of all.
    """
    ours = inputs.of("neumeta").query("seen == @seen")["mean"]
    trained = inputs.controls[inputs.controls["trained"]]
    others = inputs.of(method) if method else inputs.controls if trained.empty else trained
    gaps = (others["mean"] - ours).dropna()
    if gaps.empty:
        return None
    width = int(str(gaps.idxmax()))
    label = _label(method or inputs.controls["method"][width])
    return Gap(float(gaps.max()), width, len(gaps), label)


def headline(inputs: ReportInputs) -> str:
    """Say in plain sentences what was measured, whatever methods are present."""
    ours, digits = inputs.of("neumeta"), inputs.digits
    tested = f", {whole(inputs.tested)} test examples" if inputs.tested else ""
    if ours.empty:
        return TEXTS("none", methods=", ".join(m.name for m in inputs.methods), tested=tested)
    seeds = several(int(ours["n"].max()), "INR seed")
    sentences = [_reach(ours, digits), *_beside(inputs, _told_widths(ours))]
    return " ".join([*sentences, TEXTS("means", seeds=seeds, tested=tested)])


def _told_widths(ours: pd.DataFrame) -> list[int]:
    """The ends of the trained range, the larger one first, and the furthest width never built."""
    seen, unseen = ours.index[ours["seen"]], ours.index[~ours["seen"]]
    first, last = (ours.index if seen.empty else seen)[[0, -1]]
    far = max(unseen, key=lambda width: max(first - width, width - last), default=first)
    return list(dict.fromkeys((last, first, far if len(seen) else first)))


def _reach(ours: pd.DataFrame, digits: int) -> str:
    low, high = ours.index[[0, -1]]
    each = "every width" if len(ours) == high - low + 1 else f"{len(ours)} widths"
    widths = f"{each} from {low} to {high}" if low < high else f"width {low}"
    told = _told_widths(ours)
    at = [f"{percent(ours['mean'][width], digits)} at width {width}" for width in told]
    trained = int(ours["seen"][told].sum())
    ends = " and ".join(at[:trained] or at)
    ends += ", the ends of the trained range" if trained > 1 else ""
    far = TEXTS("far", at=at[trained]) if 0 < trained < len(at) else ""
    return TEXTS("reach", widths=widths, ends=ends, far=far)


def _beside(inputs: ReportInputs, widths: list[int]) -> Iterator[str]:
    """Name the best control at some widths, and say where ours lies furthest below the best."""
    digits, best = inputs.digits, dict(inputs.controls[["method", "mean"]].T)
    found = [(_label(best[w]["method"]), best[w]["mean"]) if w in best else None for w in widths]
    told = []
    for control, same in itertools.groupby(found, key=lambda one: one and one[0]):
        values = " and ".join(percent(one[1], digits) for one in same if one)
        told.append(f"{values} ({control})" if control else TEXTS("no_control"))
    if any(found):
        yield TEXTS("controls", noun=f"control{'s'[: len(found) > 1]}", told=", ".join(told))
    gap, far = worst_gap(inputs), worst_gap(inputs, seen=False)
    parts: list[str] = []
    for kind, one in (("trained width", gap), ("width never built", far)):
        if one:
            side, whom = beside(one.value, digits), "that" if parts else "the best control"
            side += " to" if side == "equal" else ""
            facts = {"kind": kind, "width": one.width, "number": one.widths}
            parts.append(TEXTS("part", beside=side, whom=whom, **facts))
    if parts:
        yield TEXTS("worst", parts=" and ".join(parts))


def _label(method: object) -> str:
    return describe([str(method)])[0].label


def key_figures(inputs: ReportInputs) -> list[KeyFigure]:
    """Choose one to six large numbers of the page; what was not measured is left out."""
    found, digits, total = [], inputs.digits, inputs.variation.total_variation
    seen = inputs.of("neumeta").query("seen")
    spots = {"base network": inputs.of("base").tail(1)}
    spots |= {"NeuMeta, largest trained width": seen.tail(1)}
    spots |= {"NeuMeta, smallest trained width": seen.head(1)} if len(seen) > 1 else {}
    for label, rows in spots.items():
        for width, n, mean, params in rows[["n", "mean", "params"]].itertuples():
            note = f"width {width}, {whole(params)} parameters, n = {n}"
            found.append(KeyFigure(percent(mean, digits), label, note))
    found += _saving(inputs, seen)
    if gap := worst_gap(inputs):
        value, _, side = beside(gap.value, digits).rpartition(" ")
        label = f"{side if value else 'to'} the best control, at worst"
        note = f"at width {gap.width}: {gap.label}; of {several(gap.widths, 'trained width')}"
        if own := worst_gap(inputs, method="individual"):
            told = beside(own.value, digits)
            note += f". Beside individual networks: {told} (width {own.width})"
        found.append(KeyFigure(value or side, label, note))
    gained = change(total["before"].sum, total["after"].sum)
    return [*found, KeyFigure(gained, "total variation", "by the permutation, all tensors")]


def _saving(inputs: ReportInputs, seen: pd.DataFrame) -> list[KeyFigure]:
    """What the smallest trained network saves of the whole base network; none without both."""
    base = inputs.of("base").tail(1)
    if base.empty or seen.empty or base.index[0] == seen.index[0]:
        return []
    (full, small), width = (rows.iloc[0] for rows in (base, seen)), seen.index[0]
    params, macs = (change(full[name], small[name]) for name in ("params", "macs"))
    sizes = [f"{whole(small[name])} of {whole(full[name])}" for name in ("params", "macs")]
    note = TEXTS("saved", width=width, params=sizes[0], macs=sizes[1])
    return [KeyFigure(params, f"parameters of the whole network, {macs} MACs", note)]


def metrics(inputs: ReportInputs) -> dict[str, Any]:
    """Collect the numbers that `dvc metrics diff` compares, and no times, so that reruns agree."""
    stats, keys, ours = inputs.stats, key_widths(inputs.stats), inputs.of("neumeta")
    gaps = {"individual": worst_gap(inputs, method="individual"), "best_control": worst_gap(inputs)}
    total = inputs.variation.total_variation

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
    for name, gap in gaps.items():
        if gap:
            found[f"worst_gap_to_{name}"] = {"accuracy": rounded(gap.value), "width": gap.width}
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
        "worst_gap": _spot(gap.width, gap.value, gap.label) if gap else None,
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
    return _spot(width, there.max(), _label(there.idxmax()))


def _spot(width: int, value: float, label: str) -> overview.Spot:
    return overview.Spot(width=width, accuracy=rounded(value), label=label)
