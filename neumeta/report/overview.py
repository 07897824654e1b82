"""The page that lists all experiments: one table, and a card with a small figure for each."""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from markupsafe import Markup

from neumeta.core.errors import UserError
from neumeta.core.files import json_text
from neumeta.core.records import Frozen, read_json
from neumeta.report import blocks, figures
from neumeta.report.page import render_page, template
from neumeta.report.palette import light
from neumeta.report.texts import TEXTS, Look
from neumeta.report.wording import DASH, beside, digits_for, percent, whole

FORMAT: Literal[2] = 2
DIGITS = 6  # of every float in a summary


class Spot(Frozen):
    """An accuracy, a fraction, at a width; `label` says of what where it is not ours."""

    width: int
    accuracy: float  # or how far ours lies below another one
    label: str = ""


class Point(Spot):
    """A spot, and whether networks of that width were built in training."""

    seen: bool


class Summary(Frozen):
    """What the overview shows of one experiment; no times."""

    format: Literal[2]
    experiment: str
    title: str
    summary: str  # what was done
    headline: str  # what came out of it
    dataset: str
    test_size: int | None  # number of test examples; None where others were used
    split: str = "test"  # what the accuracies were measured on
    examples: int | None = None  # how many, where they are not test examples
    seeds: int  # how many of ours
    base: Spot | None  # the network it starts from
    ours: tuple[Point | None, Point | None, Point | None]  # see `_three_spots`
    control: Spot | None  # the best of the others, at their smallest trained width
    worst_gap: Spot | None  # how far ours lies below the best of the others, at worst
    curves: dict[str, tuple[Point, ...]]
    looks: tuple[Look, ...]  # of these, the first one on top


def rounded(value: float) -> float:
    """Round a float as summaries and metrics hold it."""
    return round(float(value), DIGITS)


def curve(rows: Iterable[tuple[int, float, bool]]) -> tuple[Point, ...]:
    """Collect the points of a curve from width, accuracy, and whether that width was trained."""
    return tuple(Point(width=int(w), accuracy=rounded(v), seen=bool(seen)) for w, v, seen in rows)


def _three_spots(points: Sequence[Point]) -> tuple[Point | None, Point | None, Point | None]:
    """Choose the largest and the smallest trained width, and the furthest one never built."""
    seen = sorted((point for point in points if point.seen), key=attrgetter("width"))
    high, low = (seen[-1], seen[0]) if seen else (None, None)
    middle = (high.width + low.width) / 2 if high and low else 0
    others = (point for point in points if not point.seen)
    return high, low, max(others, key=lambda point: abs(point.width - middle), default=None)


def finished(page: blocks.Page, files: Mapping[str, str], **facts: Any) -> blocks.Report:
    """Write a page, and a summary with `facts` that it does not tell; the first look is ours."""
    summary = Summary(
        format=FORMAT,
        experiment=page.name,
        title=str(page.text.get("title") or page.name),
        summary=str(page.text.get("summary") or ""),
        headline=page.headline,
        ours=_three_spots(facts["curves"][facts["looks"][0].name]),
        **facts,
    )
    text = json_text(summary.model_dump(mode="json", exclude_defaults=True))
    return blocks.Report({**files, "index.html": render_page(page)}, text)


def read_summaries(folder: str | Path) -> list[Summary]:
    """Read the JSON files of a folder, each of which has the name of its experiment."""
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder; run the report stage first")
    found = {path: read_json(path, Summary) for path in sorted(Path(folder).glob("*.json"))}
    for path, summary in found.items():
        if summary.experiment != path.stem:
            told = f"experiment is {summary.experiment!r}; must be {path.stem!r}"
            raise UserError(f"{path}: {told}, the name of the file")
    return list(found.values())


def render_overview(summaries: Iterable[Summary]) -> str:
    """Write the page: one row and one card per experiment, by name, linked to its page."""
    ordered, cards = sorted(summaries, key=attrgetter("experiment")), []
    for place, summary in enumerate(ordered):
        figure = Markup(figures.inline(_small_figure(summary).svg, f"card-{place}"))
        legend = [look.head for look in _drawn(summary)]
        cards.append((summary, _link(summary), figure, legend))
    columns = [blocks.small(head, text) for head, text in TEXTS.words["columns"].items()]
    table = blocks.Table(
        "All experiments",
        columns,
        [_row(s) for s in ordered],
        TEXTS("note"),
        compact=True,
        stacked=True,
    )
    return template("overview.html.j2").render(cards=cards, table=table, terms=TEXTS.terms())


def _link(summary: Summary) -> str:
    return f"{quote(summary.experiment)}/index.html"


def _row(summary: Summary) -> blocks.Row:
    size = summary.examples or summary.test_size
    digits, gap = digits_for(size), summary.worst_gap

    def cell(spot: Spot | None, text: str = "") -> str:
        if spot is None:
            return DASH
        text = text or percent(spot.accuracy, digits)
        return blocks.small(text, f"h = {spot.width}", spot.label)

    link = Markup('<a href="{}">{}</a>').format(_link(summary), summary.experiment)
    counted = f"{whole(size) if size else ''} {'' if summary.split == 'test' else summary.split}"
    data = ", ".join(filter(None, (summary.dataset, counted.strip())))
    text = beside(gap.accuracy, digits) if gap else ""
    spots = (summary.base, *summary.ours, summary.control)
    first = blocks.small(link, data)
    return blocks.Row([first, *map(cell, spots), cell(gap, text), str(summary.seeds)])


def _drawn(summary: Summary) -> list[Look]:
    """The curves that are not below the picture altogether."""
    bottom, _ = _scale(summary).limits(_competing(summary))
    return [
        look
        for look in summary.looks
        if any(
            _scale(summary).height(p.accuracy) > bottom for p in summary.curves.get(look.name, ())
        )
    ]


def _scale(summary: Summary) -> figures.Accuracies:
    return figures.Accuracies(summary.examples or summary.test_size)


def _competing(summary: Summary) -> list[float]:
    """Accuracies of the main curves, around which the picture is drawn."""
    main = [look.name for look in summary.looks if look.strong and summary.curves.get(look.name)]
    shown = main or list(summary.curves)
    return [point.accuracy for name in shown for point in summary.curves[name]]


def _small_figure(summary: Summary) -> blocks.Drawing:
    drawn, scale = _drawn(summary), _scale(summary)
    every = [point for look in drawn for point in summary.curves[look.name]]
    trained = {point.width for point in every if point.seen}
    with figures.look():
        figure = figures.new_figure(190, width=400)
        axes = figure.add_subplot()
        figures.shade_trained(axes, {point.width: point.width in trained for point in every})
        for place, look in enumerate(drawn):
            spots = sorted(summary.curves[look.name], key=attrgetter("width"))
            style: dict[str, Any] = {"color": light(look.colour), "zorder": 9 - place}
            style |= {"linewidth": 1.5 if place else 2.5, "marker": "" if spots[1:] else "o"}
            style |= {"dashes": look.dash} if look.dash else {}
            heights = scale.height([point.accuracy for point in spots])
            axes.plot([point.width for point in spots], heights, **style)
        scale.label(axes, _competing(summary), apart=0.1)
        axes.set_ylabel(f"{summary.split} accuracy")
        figures.width_axis(axes, {point.width for point in every}, marks=8)
        return figures.saved(figure)
