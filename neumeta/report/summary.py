"""The few numbers that stand for an experiment: headline, key figures, entry of the overview."""

from typing import Any, NamedTuple

from neumeta.report.budgets import budget
from neumeta.report.facts import Facts
from neumeta.report.tables import DIGITS, Gap, Point, measured, statistics, worst_gap
from neumeta.report.wording import change, digits_for, percent, points, whole

FORMAT = 1
_CURVES = ("neumeta", "individual", "bypass")


class KeyFigure(NamedTuple):
    """One large number of the page.

    Attributes:
        value: The number with its unit.
        label: What it is.
        note: Where and how many.
    """

    value: str
    label: str
    note: str


def headline(facts: Facts) -> str:
    """Say in plain sentences what was measured.

    Args:
        facts: The inputs of the report.

    Returns:
        Sentences that hold for whatever methods are present.
    """
    stats = statistics(facts.results)
    size = facts.dataset.test_size
    digits = digits_for(size)
    tested = f", {whole(size)} test examples" if size else ""
    ours = measured(stats, "neumeta")
    if not ours:
        return f"This report holds no NeuMeta rows, only {', '.join(stats)}{tested}."
    seeds = max(point.n for point in ours)
    sentences = [_range_sentence(ours, digits)]
    gap = worst_gap(stats)
    if gap is not None:
        sentences.append(_gap_sentence(gap, digits))
    far = worst_gap(stats, seen=False)
    if far is not None:
        side = "below" if far.value > 0 else "above"
        sentences.append(
            f"Where no network was built in training, it lies {points(far.value, digits)} {side} "
            f"{'them' if gap else 'networks trained one by one'} at worst (width {far.width})."
        )
    sentences.append(f"Means over {seeds} INR {'seed' if seeds == 1 else 'seeds'}{tested}.")
    return " ".join(sentences)


def _range_sentence(ours: list[Point], digits: int) -> str:
    def at(point: Point) -> str:
        return f"{percent(point.mean, digits)} at width {point.width}"

    low, high = ours[0].width, ours[-1].width
    each = "every width" if len(ours) == high - low + 1 else f"{len(ours)} widths"
    reach = f"{each} from {low} to {high}" if low < high else f"width {low}"
    seen = [point for point in ours if point.seen]
    unseen = [point for point in ours if not point.seen]
    first, last = (seen or ours)[0], (seen or ours)[-1]
    text = f"One INR gives this network at {reach}: {at(last)}"
    if first.width < last.width:
        text += f" and {at(first)}" + (", the ends of the trained range" if seen else "")
    if seen and unseen:
        far = max(unseen, key=lambda p: max(first.width - p.width, p.width - last.width))
        text += f", and {at(far)}, never built in training"
    return text + "."


def _gap_sentence(gap: Gap, digits: int) -> str:
    among = f"the {gap.widths} trained widths" if gap.widths > 1 else "the one trained width"
    if gap.value > 0:
        return (
            f"At worst it lies {points(gap.value, digits)} below networks trained one by one "
            f"(width {gap.width}, among {among} where both exist)."
        )
    return f"At {among} where both exist it lies nowhere below networks trained one by one."


def key_figures(facts: Facts) -> list[KeyFigure]:
    """Choose the large numbers of the page.

    Args:
        facts: The inputs of the report.

    Returns:
        One to five numbers; what was not measured is left out.
    """
    stats = statistics(facts.results)
    digits = digits_for(facts.dataset.test_size)
    figures: list[KeyFigure] = []
    if base := measured(stats, "base"):
        note = f"width {base[-1].width}, {whole(base[-1].params)} parameters"
        figures.append(KeyFigure(percent(base[-1].mean, digits), "base network", note))
    seen = [point for point in measured(stats, "neumeta") if point.seen]
    ends = seen[-1:] + (seen[:1] if len(seen) > 1 else [])
    for name, point in zip(("largest", "smallest"), ends, strict=False):
        note = f"width {point.width}, {whole(point.params)} parameters, n = {point.n}"
        label = f"NeuMeta, {name} trained width"
        figures.append(KeyFigure(percent(point.mean, digits), label, note))
    gap = worst_gap(stats)
    if gap is not None:
        label = f"{'below' if gap.value > 0 else 'above'} individual networks, at worst"
        note = f"at width {gap.width}, of {gap.widths} trained widths compared"
        if trained := budget("individual", facts.params):
            note += f"; they had {trained.rstrip('.')}"
        figures.append(KeyFigure(points(gap.value, digits), label, note))
    change_text = change(facts.variation.sum_before, facts.variation.sum_after)
    figures.append(KeyFigure(change_text, "total variation", "by the permutation, all tensors"))
    return figures


def summary(facts: Facts) -> dict[str, Any]:
    """Collect what the overview of all experiments shows; no times.

    Args:
        facts: The inputs of the report.

    Returns:
        JSON-ready.
    """
    stats = statistics(facts.results)
    text = facts.params.get("report") or {}
    base, gap = measured(stats, "base"), worst_gap(stats)
    ours = measured(stats, "neumeta")
    return {
        "format": FORMAT,
        "experiment": facts.experiment,
        "title": str(text.get("title") or facts.experiment),
        "summary": str(text.get("summary") or ""),
        "headline": headline(facts),
        "dataset": facts.dataset.name,
        "test_size": facts.dataset.test_size,
        "seeds": max((point.n for point in ours), default=0),
        "base": _spot(base[-1].width, base[-1].mean) if base else None,
        "worst_gap": _spot(gap.width, gap.value) if gap else None,
        "curves": {
            name: [
                {**_spot(point.width, point.mean), "seen": point.seen}
                for point in measured(stats, name)
            ]
            for name in _CURVES
        },
    }


def _spot(width: int, accuracy: float) -> dict[str, Any]:
    return {"width": width, "accuracy": round(accuracy, DIGITS)}
