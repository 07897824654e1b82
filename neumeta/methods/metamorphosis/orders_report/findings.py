"""What a study found, in sentences that hold whatever was measured."""

import math
from statistics import fmean

from neumeta.methods.metamorphosis.orders_report.inputs import StudyInputs
from neumeta.methods.metamorphosis.orders_report.looks import ORIGINAL, OURS, STRATEGIES, TEXTS
from neumeta.report import overview
from neumeta.report.blocks import KeyFigure
from neumeta.report.overview import rounded
from neumeta.report.wording import (
    DASH,
    SPACE,
    SPLITS,
    digits_for,
    hundredths,
    percent,
    several,
    whole,
)

_LIKE_CHANCE = 0.02  # share of the total variation


def at_most(value: float | None) -> str:
    """Write an upper limit in per cent, rounded up; a dash for None or NaN."""
    if value is None or not math.isfinite(value):
        return DASH
    hundredth = math.ceil(round(1e4 * value, 6))  # what floats add above a limit is none of it
    return f"{hundredth / 100:.2f}{SPACE}%"


def headline(inputs: StudyInputs) -> str:
    """Say the main results in four sentences."""
    return " ".join([_smoothest(inputs), _proven(inputs), _inrs(inputs), _leaders(inputs)])


def findings(inputs: StudyInputs) -> list[str]:
    """Say what else was found, beside what the paper reports."""
    tellers = (_published_variation, _layer_wise, _random, _at_largest_width, _by_width, _dead)
    return [text for teller in tellers if (text := teller(inputs))]


def key_figures(inputs: StudyInputs) -> list[KeyFigure]:
    """Choose the four large numbers of the page."""
    main, inrs, (gap, worst) = inputs.main, inputs.inrs, _worst(inputs)
    full, digits = max(inrs.seen), digits_for(inrs.examples)
    ours, original = (inrs.accuracy(name, full) for name in (OURS, ORIGINAL))
    order = f"of {main.network}, by our order of its {len(main.groups)} groups"
    rival, best = best_other(inputs, full)
    told = f"{percent(best, digits)} from {STRATEGIES[rival].label}, the best other order; "
    told += f"{percent(original.mean, digits)} from the original one; n = {ours.n}"
    together = f"all paths of {main.network} together"
    return [
        KeyFigure(_change(main.relative(OURS).mean), "total variation", order),
        KeyFigure(at_most(main.gap(OURS)), "above the bound, at most", together),
        KeyFigure(at_most(gap), "above it in the worst group", worst),
        KeyFigure(percent(ours.mean, digits), f"INRs from our order, h = {full}", told),
    ]


def _change(ratio: float) -> str:
    return f"{hundredths(ratio - 1, 1, plus=True)}{SPACE}%"


def _accuracy(inputs: StudyInputs, strategy: str, width: int) -> str:
    """A mean accuracy and its standard deviation, such as `91.0 ± 0.1 %`."""
    value, digits = inputs.inrs.accuracy(strategy, width), digits_for(inputs.inrs.examples)
    spread = hundredths(value.std, digits)
    more = f"{SPACE}±{SPACE}{spread}" if spread else ""
    return f"{hundredths(value.mean, digits)}{more}{SPACE}%"


def _difference(inputs: StudyInputs, other: str, width: int) -> str:
    """How far ours lies above or below another order, and whether seeds tell them apart."""
    value, digits = inputs.inrs.difference(OURS, other, width), digits_for(inputs.inrs.examples)
    text, spread = hundredths(abs(value.mean), digits), hundredths(value.std, digits)
    if float(text) == 0:
        return "equal"
    text += f" ± {spread}" if spread else ""
    apart = "" if value.told_apart else ", not told apart"
    return f"{text}{SPACE}points {'above' if value.mean > 0 else 'below'}{apart}"


def _gaps(inputs: StudyInputs, strategy: str) -> list[float]:
    return [gap for network in inputs.networks if (gap := network.gap(strategy)) is not None]


def _worst(inputs: StudyInputs) -> tuple[float, str]:
    """The largest gap of our order in any group, and which group that is."""
    groups = [(group, network) for network in inputs.networks for group in network.groups]
    found = [(g.gap(OURS), f"{g.name} of {n.network}") for g, n in groups]
    return max(((gap, name) for gap, name in found if gap is not None), default=(math.nan, "none"))


def _smoothest(inputs: StudyInputs) -> str:
    others = [name for name in STRATEGIES if name != OURS]
    means = [{n: net.relative(n).mean for n in STRATEGIES} for net in inputs.networks]
    best = sum(all(of[OURS] < of[name] for name in others) for of in means)
    changes = dict.fromkeys(_change(end(of[OURS] for of in means)) for end in (max, min))
    count = f"all {best}" if best == len(means) else f"{best} of {len(means)}"
    return TEXTS("smoothest", count=count, change=" to ".join(changes))


def _proven(inputs: StudyInputs) -> str:
    gaps, (gap, worst) = _gaps(inputs, OURS), _worst(inputs)
    if not gaps:
        return TEXTS("unbounded")
    number = sum(g.gap(OURS) is None for n in inputs.networks for g in n.groups)
    more = TEXTS("open", number=number) if number else ""
    return TEXTS("proven", all=at_most(max(gaps)), gap=at_most(gap), worst=worst, open=more)


def _inrs(inputs: StudyInputs) -> str:
    inrs, names = inputs.inrs, (OURS, ORIGINAL)
    small, full = min(inrs.seen), max(inrs.seen)
    facts = {name: [_accuracy(inputs, name, width) for width in (full, small)] for name in names}
    number = sum(inrs.collapsed(name) for name in names)
    dead = f", {number} of these generators dead" if number else ""
    seeds = several(inrs.accuracy(OURS, full).n, "seed")
    widths = {"full": full, "small": small, "experiment": inrs.experiment}
    told = {"seeds": seeds, "dead": dead, "examples": judged(inputs)}
    return TEXTS("reach", **facts, **widths, **told)


def judged(inputs: StudyInputs) -> str:
    """Say what the INRs were scored on, such as `10 000 test examples`."""
    return f"{whole(inputs.inrs.examples)} {SPLITS[inputs.inrs.split]} examples"


def _means(inputs: StudyInputs, width: int) -> dict[str, float]:
    return {name: inputs.inrs.accuracy(name, width).mean for name in STRATEGIES}


def best_other(inputs: StudyInputs, width: int) -> tuple[str, float]:
    """The order beside ours whose INRs score highest at a width, and their mean accuracy."""
    means = _means(inputs, width)
    name = max((name for name in STRATEGIES if name != OURS), key=means.__getitem__)
    return name, means[name]


def worst_gap(inputs: StudyInputs) -> overview.Spot:
    """Find the width, a trained one if any is, where ours lies furthest below the best other."""
    widths = [width for width, seen in inputs.inrs.seen.items() if seen] or list(inputs.inrs.seen)
    gaps = {width: best_other(inputs, width)[1] - _means(inputs, width)[OURS] for width in widths}
    width = max(gaps, key=gaps.__getitem__)
    label = STRATEGIES[best_other(inputs, width)[0]].label
    return overview.Spot(width=width, accuracy=rounded(gaps[width]), label=f"order: {label}")


def _leaders(inputs: StudyInputs) -> str:
    """Say from which order the INRs score highest, and at how many widths."""
    widths, digits = sorted(inputs.inrs.seen, reverse=True), digits_for(inputs.inrs.examples)
    best, told = dict[tuple[str, ...], list[int]](), []
    for width in widths:
        means = {name: round(100 * mean, digits) for name, mean in _means(inputs, width).items()}
        first = tuple(name for name, mean in means.items() if mean == max(means.values()))
        best.setdefault(first, []).append(width)
    for names, at in sorted(best.items(), key=lambda item: -len(item[1])):
        sure = [str(w) for w in at if inputs.inrs.difference(OURS, names[0], w).told_apart]
        apart = "" if OURS in names else TEXTS("apart", at=", ".join(sure) or "none")
        order = " and ".join(STRATEGIES[name].label for name in names)
        facts = {"order": order, "number": len(at), "widths": len(widths)}
        told.append(TEXTS("leads", at=", ".join(map(str, at)), apart=apart, **facts))
    return TEXTS("leaders", told=", ".join(told))


def _published_variation(inputs: StudyInputs) -> str:
    told, main = inputs.published, inputs.main
    if not {ORIGINAL, OURS} <= set(told):
        return ""
    before, after = (told[name]["variation"] for name in (ORIGINAL, OURS))
    original, ours = (fmean(main.variation(name)) for name in (ORIGINAL, OURS))
    sums = {"before": before, "after": after, "original": original, "ours": ours}
    facts = {"source": inputs.text.get("published_as") or "source not named"}
    facts |= {"network": main.network, "change": _change(after / before)}
    facts |= {"own": _change(ours / original), **{n: whole(v, 2) for n, v in sums.items()}}
    missing = ours - original * after / before
    longest, bound = main.ends(OURS)
    left = max(longest - bound, 0.0)  # what any order could still take off
    more = TEXTS("missing", left=whole(left, 2), missing=whole(missing, 2))
    return TEXTS("published", **facts) + (more if missing > left else "")


def _layer_wise(inputs: StudyInputs) -> str:
    found = {name: _gaps(inputs, name) for name in ("layer-greedy", "layer-2-opt")}
    ends = [(STRATEGIES[n].label, percent(min(g)), percent(max(g))) for n, g in found.items() if g]
    parts = [TEXTS("above", order=order, low=low, high=high) for order, low, high in ends]
    return TEXTS("bound", parts="; ".join(parts)) if parts else ""


def _random(inputs: StudyInputs) -> str:
    ratios = [network.relative("random").mean for network in inputs.networks]
    smooth = max(abs(ratio - 1) for ratio in ratios) < _LIKE_CHANCE
    chance = TEXTS("chance") if smooth else ""
    return TEXTS("random", low=_change(min(ratios)), high=_change(max(ratios)), chance=chance)


def _at_largest_width(inputs: StudyInputs) -> str:
    told, full, more = inputs.published, max(inputs.inrs.seen), ""
    if {ORIGINAL, OURS} <= set(told):
        more = TEXTS("more", points=told[OURS]["accuracy"] - told[ORIGINAL]["accuracy"])
    return TEXTS("largest", full=full, gain=_difference(inputs, ORIGINAL, full), more=more)


def _by_width(inputs: StudyInputs) -> str:
    parts = []
    for width in sorted(inputs.inrs.seen, reverse=True):
        means = _means(inputs, width)
        best = max(means, key=means.__getitem__)
        text = f"h = {width}: {STRATEGIES[best].label}, {_accuracy(inputs, best, width)}"
        parts.append(
            text + ("" if best == OURS else f" (ours: {_difference(inputs, best, width)})")
        )
    return TEXTS("best", parts="; ".join(parts))


def _dead(inputs: StudyInputs) -> str:
    dead = {look.label: inputs.inrs.collapsed(name) for name, look in STRATEGIES.items()}
    told = ", ".join(f"{label} {number}" for label, number in dead.items() if number)
    return TEXTS("dead", told=told) if told else ""
