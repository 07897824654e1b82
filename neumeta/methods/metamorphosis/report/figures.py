"""The figures of the page: accuracies, the permutation, and the trainings."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from neumeta.measure.statistics import seen_by_width
from neumeta.methods.metamorphosis.columns import LOSS_PARTS
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
_ACCURACY = "test accuracy (log error scale)"
# Panels of the second figure: their group, their title, and the main methods shown again.
_PANELS = (
    ("pruned", "Pruned, no training", ("pruned-l1", "bypass")),
    ("finetuned", "Pruned, then fine-tuned", ("pruned-l1-finetuned",)),
    ("variant", "Variants", ("individual",)),
)
_COLOURS = ("ink", "blue", "orange", "green", "purple")
_DASHES = ((), (), (6.0, 2.0), (2.0, 2.0), (1.0, 1.5))
_PARTS = dict(zip(LOSS_PARTS, zip(_COLOURS, _DASHES, strict=True), strict=True))  # of the loss
_PHASES: dict[str, Any] = {
    "warm": ("INR, warm start", "sky", (4.0, 2.0)),
    "task": ("INR, task phase", "blue", ()),
}
_VALIDATION = "INR, validation accuracy"


def accuracy_figure(inputs: ReportInputs, against: Literal["width", "params"]) -> Drawing:
    """Draw the main methods: the mean as a line, a band from the worst to the best seed."""
    methods, main = _drawable(inputs, first_figure), against == "width"
    stats = inputs.stats.loc[[m.name for m in methods]] if methods else inputs.stats
    seen = seen_by_width(stats)
    with figures.look():
        figure, (axes,) = _start([methods], 400, 660)
        if main:
            figures.shade_trained(axes, seen, "trained widths")
            figures.width_axis(axes, seen)
        else:
            _size_axis(axes, stats["params"])
        _draw(axes, inputs, methods, against)
        axes.set_ylabel(_ACCURACY)
        figures.legend(figure, _handles(methods))
        return figures.saved(figure, axes, seen if main else ())


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


def losses_figure(inputs: ReportInputs) -> Drawing:
    """Draw the loss curves, and the validation accuracies; a panel without data is left out."""
    train = inputs.train_history.set_index("step")
    panels = {"Base network": inputs.base_history.set_index("epoch")}
    panels |= {title: train[train["phase"] == key] for key, (title, *_) in _PHASES.items()}
    panels |= {_VALIDATION: train[train["val_accuracy"].notna()].rename_axis("step of the phase")}
    panels = {title: history for title, history in panels.items() if len(history)}
    columns, rows = min(2, max(len(panels), 1)), max(1, -(-len(panels) // 2))
    with figures.look():
        figure = figures.new_figure(215 * rows + 50)
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        entries: dict[str, Any] = {}
        for axes, (title, history) in zip(grid, panels.items(), strict=False):
            axes.set_title(title)
            axes.set_xlabel(str(history.index.name))
            (_validation if title == _VALIDATION else _losses)(axes, history)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            drawn, labels = axes.get_legend_handles_labels()
            entries |= dict(zip(labels, drawn, strict=True))
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figures.legend(figure, list(entries.values()), 6)
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
        return figures.accuracy_height(accuracy) if top is None else 100 * (accuracy - top)

    for place, method in enumerate(methods):
        points = inputs.of(method.name)
        x = points["params"] if against == "params" else points.index.to_series()
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
    shown = inputs.stats.loc[[m.name for m in methods]] if methods else inputs.stats
    if top is None:
        figures.accuracy_axis(axes, shown[["mean", "low", "high"]])
    axes.grid(axis="y")
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


def _size_axis(axes: Axes, sizes: pd.Series) -> None:
    low, high = float(sizes.min()), float(sizes.max())
    logarithmic = high >= _LINEAR_BELOW * low
    axes.set_xlabel(f"parameters of the whole network{' (log scale)' if logarithmic else ''}")
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=13))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: count(value))
    axes.grid(axis="x")


def _losses(axes: Axes, history: pd.DataFrame) -> None:
    axes.set_yscale("log")
    axes.set_ylabel("loss (log scale)")
    losses = history[[part for part in LOSS_PARTS if part in history]]
    losses = losses.where(losses > 0).dropna(axis="columns", how="all")
    for part in map(str, losses):
        style: dict[str, Any] = {"label": "total loss" if part == "loss" else part}
        if part == "loss" and len(losses.columns) > 1:  # wide and pale, under its parts
            style |= {"linewidth": 4.5, "alpha": 0.3}
        by_step = losses[part].dropna().groupby(level=0).agg(["mean", "min", "max"])
        _curve(axes, by_step, *_PARTS[part], **style)
    low, high = axes.get_ylim()
    steps = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y")


def _validation(axes: Axes, scored: pd.DataFrame) -> None:
    axes.set_ylabel("mean over probe widths")
    for phase, history in scored.groupby("phase"):
        by_step = history["val_accuracy"].groupby(level=0).agg(["mean", "min", "max"])
        heights, (_, *look) = by_step.apply(figures.accuracy_height), _PHASES[str(phase)]
        _curve(axes, heights, *look, label=f"validation, {phase} phase", marker="o", markersize=4)
    figures.accuracy_axis(axes, scored["val_accuracy"])


def _curve(axes: Axes, rows: pd.DataFrame, colour: str, dashes: Any, **style: Any) -> None:
    figures.band(axes, rows.index, rows["min"], rows["max"], colour)
    style |= {"dashes": dashes} if dashes else {}
    axes.plot(rows.index, rows["mean"], color=light(colour), **style)
