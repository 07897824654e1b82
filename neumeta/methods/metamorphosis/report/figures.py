"""The figures of the page: accuracies and the permutation."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from neumeta.measure.statistics import seen_by_width
from neumeta.methods.metamorphosis.report.inputs import ReportInputs
from neumeta.methods.metamorphosis.report.looks import first_figure
from neumeta.report import figures
from neumeta.report.blocks import Drawing
from neumeta.report.palette import light
from neumeta.report.texts import Look
from neumeta.report.wording import change, count

_MARKS = 12  # of a curve; more would crowd it
_LINEAR_BELOW = 5  # sizes that differ by less than this factor get a linear axis
_DEEPEST = 6.0  # points below the base that the figure of drops shows at most
_COSTS = {"params": "parameters", "macs": "MACs", "latency": "time, ms"}
_ACCURACY = "test accuracy (log error scale)"
# Panels of the second figure: their group, their title, and the main methods shown again.
_PANELS = (
    ("pruned", "Pruned, no training", ("pruned-l1", "bypass")),
    ("finetuned", "Pruned, then fine-tuned", ("pruned-l1-finetuned",)),
    ("variant", "Variants", ("individual",)),
)


def accuracy_figure(inputs: ReportInputs, against: Literal["width", "params"]) -> Drawing:
    """Draw the main methods: the mean as a line, a band from the worst to the best seed.

    The picture is zoomed on what competes, see `_zoomed`.
    """
    methods, main = _drawable(inputs, first_figure), against == "width"
    stats = inputs.stats.loc[[m.name for m in methods]] if methods else inputs.stats
    seen = seen_by_width(stats)
    with figures.look():
        figure, (axes,) = _start([methods], 400, 660)
        if main:
            figures.shade_trained(axes, seen, "trained widths")
            figures.width_axis(axes, seen)
        else:
            _size_axis(axes, stats["params"], "parameters of the whole network")
        _draw(axes, inputs, methods, against)
        _scale(inputs).label(axes, _zoomed(inputs, methods))
        axes.set_ylabel(_ACCURACY)
        below = below_figure(inputs)
        figures.legend(figure, _handles([method for method in methods if method not in below]))
        return figures.saved(figure, axes, seen if main else ())


def cost_figure(inputs: ReportInputs) -> Drawing:
    """Draw the main methods against what their networks cost, one panel for each kind."""
    methods, stats = _drawable(inputs, first_figure), inputs.stats
    kinds = [kind for kind in _COSTS if stats[kind].notna().any()]
    with figures.look():
        figure, grid = _start([methods] * len(kinds), 330)
        for axes, kind in zip(grid, kinds, strict=True):
            _size_axis(axes, stats[kind].dropna(), _COSTS[kind], marks=4)
            _draw(axes, inputs, methods, kind)
            _scale(inputs).label(axes, _zoomed(inputs, methods))
        grid[0].set_ylabel(_ACCURACY)
        below = below_figure(inputs)
        figures.legend(figure, _handles([method for method in methods if method not in below]))
        return figures.saved(figure)


def below_figure(inputs: ReportInputs) -> list[Look]:
    """Tell which methods of the first figure lie below its lower edge at every width."""
    methods, scale = _drawable(inputs, first_figure), _scale(inputs)
    bottom, _ = scale.limits(_zoomed(inputs, methods))
    return [m for m in methods if scale.height(inputs.of(m.name)["high"].max()) < bottom]


def _zoomed(inputs: ReportInputs, methods: Sequence[Look]) -> list[float]:
    """Accuracies that a picture of some methods must show: all but what lies below the main ones.

    What is drawn with a strong line, ours above all, is inside at every width and seed.
    """
    found = {method.name: inputs.of(method.name) for method in methods}
    main = [method.name for method in methods if method.strong] or list(found)
    low = [accuracy for name in main for accuracy in found[name]["low"]]
    return [
        accuracy for own in found.values() for accuracy in own["high"] if accuracy >= min(low)
    ] + low


def _scale(inputs: ReportInputs) -> figures.Accuracies:
    return figures.Accuracies(inputs.tested)


def drop_figure(inputs: ReportInputs) -> Drawing:
    """Draw the main methods as points below the base network; an empty frame without one."""
    methods, top, told = _drawable(inputs, first_figure), inputs.base, inputs.published_drops
    ours = inputs.of("neumeta")
    with figures.look():
        figure, (axes,) = _start([methods], 300, more=4)
        figures.width_axis(axes, seen_by_width(inputs.stats))
        if top is None or ours.empty:
            axes.text(0.5, 0.5, "no base network measured", ha="center", transform=axes.transAxes)
            return figures.saved(figure)
        _draw(axes, inputs, methods, "width", top)
        # All of NeuMeta is in the picture, but it is not deeper than `_DEEPEST`.
        worst = 100 * max(top - ours["low"].min(), *told.values(), 0.0)
        depth = min(max(1.1 * worst, 2.0), _DEEPEST)
        best = [100 * (inputs.of(method.name)["high"].max() - top) for method in methods]
        inside = [m for m, height in zip(methods, best, strict=True) if height > -depth]
        entries = _handles(inside)
        if told:
            style: dict[str, Any] = {"linestyle": "none", "marker": "*", "markersize": 13}
            style |= {"color": light("red"), "markeredgecolor": light("paper"), "zorder": 20}
            axes.plot(list(told), [-100 * drop for drop in told.values()], **style)
            entries.insert(1, Line2D([], [], label="NeuMeta, published", **style))
        axes.set_ylim(-depth, max(0.0, *best) + 0.06 * depth)
        axes.set_ylabel("points below the base")
        axes.yaxis.set_major_formatter(lambda v, _: f"{'+' if v > 1e-9 else ''}{abs(v):g}")
        axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
        figures.legend(figure, entries)
        return figures.saved(figure)


def peers_figure(inputs: ReportInputs) -> Drawing:
    """Draw what the first figure leaves out, one panel for each kind; empty where that is none."""
    every, first, panels = _drawable(inputs, list), first_figure(inputs.methods), {}
    for group, title, again in _PANELS:
        if own := [m.name for m in every if m.group == group and m not in first]:
            panels[title] = [m for m in every if m.name in ("neumeta", *again, *own)]
    if not panels:
        return Drawing("")
    drawn = [m for m in every if any(m in methods for methods in panels.values())]
    with figures.look():
        figure, grid = _start(list(panels.values()), 290)
        for axes, (title, methods) in zip(grid, panels.items(), strict=True):
            axes.set_title(title)
            figures.width_axis(axes, seen_by_width(inputs.stats), marks=7)
            _draw(axes, inputs, methods, "width")
            shown = inputs.stats.loc[[m.name for m in methods]]
            _scale(inputs).label(axes, shown[["mean", "low", "high"]])
        grid[0].set_ylabel(_ACCURACY)
        figures.legend(figure, _handles(drawn))
        return figures.saved(figure)


def variation_figure(inputs: ReportInputs) -> Drawing:
    """Draw one pair of bars per group: the original order and the smoothing order."""
    groups = inputs.variation.groups
    before, after = [g.length_before for g in groups], [g.length_after for g in groups]
    largest = max([*before, *after], default=0.0) or 1.0
    with figures.look():
        figure = figures.new_figure(86 + 40 * max(len(groups), 1))
        axes, places = figure.add_subplot(), np.arange(len(groups))
        bars = axes.barh(places - 0.17, before, 0.3, color=light("grey"), alpha=0.45)
        bars.set_label("original order")
        smooth = axes.barh(places + 0.17, after, 0.3, color=light("blue"))
        smooth.set_label("smoothing order")
        for place, ends in enumerate(zip(before, after, strict=True)):
            axes.text(max(ends) + 0.015 * largest, place, change(*ends), va="center", fontsize=10.5)
        names = [f"{group.name}\n{group.channels} channels" for group in groups]
        figures.named_rows(axes, names)
        axes.set_xlim(0, largest * 1.13)
        axes.locator_params(axis="x", nbins=8)
        axes.xaxis.set_major_formatter(lambda value, _: count(value))
        axes.set_xlabel("total variation along the shared axis")
        figures.legend(figure, [bars, smooth] if groups else [])
        return figures.saved(figure)


def _drawable(inputs: ReportInputs, choose: Callable[[Sequence[Look]], list[Look]]) -> list[Look]:
    return [m for m in choose(inputs.methods) if len(inputs.of(m.name))]


def _start(panels: Sequence[list[Look]], height: int, width: int = 720, more: int = 3) -> Any:
    """A figure of panels side by side, with room for a legend of some more entries."""
    entries = more + len({method.name for methods in panels for method in methods})
    figure = figures.new_figure(height + 19 * -(-entries // 4), width)
    return figure, figure.subplots(1, len(panels), squeeze=False).flatten()


def _draw(
    axes: Axes, inputs: ReportInputs, methods: list[Look], against: str, top: float | None = None
) -> None:
    """Draw methods, earlier ones on top: accuracies, or points above an accuracy `top`."""

    def height(accuracy: pd.Series) -> Any:
        return _scale(inputs).height(accuracy) if top is None else 100 * (accuracy - top)

    for place, method in enumerate(methods):
        points = inputs.of(method.name)
        if against != "width":
            points = points[points[against].notna()]
        x = points.index.to_series() if against == "width" else points[against]
        y = pd.Series(height(points["mean"]), points.index)
        line, order = _line(method), 3 + (10 if method.strong else 0) - 0.1 * place
        if method.name == "base":
            axes.axhline(y.iloc[0], **line | {"linewidth": 1}, zorder=2)
        elif len(points) > 1:
            ends = height(points["low"]), height(points["high"])
            figures.band(axes, x, *ends, colour=method.colour, zorder=order - 1)
            axes.plot(x, y, **line, zorder=order)
        alone = method.strong and len(axes.figure.axes) == 1
        every = 1 if alone else -(-len(points) // _MARKS)
        for seen in (True, False):
            chosen = points.index[::every][points["seen"].iloc[::every] == seen]
            axes.plot(x[chosen], y[chosen], **_marker(method, seen), zorder=order + 0.05)
    axes.grid(True, axis="y")
    axes.tick_params(length=0, axis="y")


def _handles(methods: list[Look]) -> list[Any]:
    styles = {m.label: _marker(m, True) | {"linestyle": "-"} | _line(m) for m in methods}
    plain = Look(name="", label="", colour="muted")
    for seen, label in ((True, "filled: trained width"), (False, "hollow: not trained")):
        styles[label] = _marker(plain, seen)
    lines = [Line2D([], [], label=label, **style) for label, style in styles.items()]
    return [*lines, Patch(color=light("muted"), alpha=0.25, label="worst to best seed")]


def _line(method: Look) -> dict[str, Any]:
    width = 2.4 if method.name == "neumeta" else 1.8 if method.strong else 1.5
    line = {"color": light(method.colour), "linewidth": width, "solid_capstyle": "round"}
    return line | ({"dashes": method.dash} if method.dash else {})


def _marker(method: Look, seen: bool) -> dict[str, Any]:
    """Filled where the width was trained; hollow (a diamond for the main curve) where not."""
    diamond = method.name == "neumeta" and not seen
    size = 11 if method.name == "base" else 8 if diamond else 6 if method.strong else 4.5
    marker = {"marker": "d" if diamond else method.marker, "markersize": size, "linestyle": "none"}
    edge = {"markeredgecolor": light(method.colour), "markeredgewidth": 1.4}
    return marker | edge | {"markerfacecolor": light(method.colour if seen else "paper")}


def _size_axis(axes: Axes, sizes: pd.Series, label: str, marks: int = 8) -> None:
    low, high = float(sizes.min()), float(sizes.max())
    logarithmic = high >= _LINEAR_BELOW * low
    axes.set_xlabel(f"{label}{' (log scale)' if logarithmic else ''}")
    axes.xaxis.set_major_locator(MaxNLocator(marks, steps=[1, 2, 5, 10]))
    if logarithmic:
        axes.set_xscale("log")
        subs = (1.0, 2.0, 5.0) if marks > 4 or high < 30 * low else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=13))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: count(value) if value >= 1 else f"{value:g}")
    axes.grid(True, axis="x")
