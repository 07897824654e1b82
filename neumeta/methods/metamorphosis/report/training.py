"""The figure of the trainings: losses of the base network and of both phases of the INR."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from neumeta.methods.metamorphosis.columns import LOSS_PARTS
from neumeta.methods.metamorphosis.report.inputs import ReportInputs
from neumeta.report import figures
from neumeta.report.blocks import Drawing
from neumeta.report.palette import light

_COLOURS = ("ink", "blue", "orange", "green", "purple")
_DASHES = ((), (), (6.0, 2.0), (2.0, 2.0), (1.0, 1.5))
_PARTS = dict(zip(LOSS_PARTS, zip(_COLOURS, _DASHES, strict=True), strict=True))  # of the loss
_PHASES: dict[str, Any] = {
    "warm": ("INR, warm start", "sky", (4.0, 2.0)),
    "task": ("INR, task phase", "blue", ()),
}
_VALIDATION = "INR, validation accuracy"


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
            if title == _VALIDATION:
                _validation(axes, history, figures.Accuracies(inputs.dataset.sizes.get("val")))
            else:
                _losses(axes, history)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            drawn, labels = axes.get_legend_handles_labels()
            entries |= dict(zip(labels, drawn, strict=True))
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figures.legend(figure, list(entries.values()), 6)
        return figures.saved(figure)


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
    axes.grid(True, axis="y")


def _validation(axes: Axes, scored: pd.DataFrame, scale: figures.Accuracies) -> None:
    axes.set_ylabel("mean over probe widths")
    for phase, history in scored.groupby("phase"):
        by_step = history["val_accuracy"].groupby(level=0).agg(["mean", "min", "max"])
        heights, (_, *look) = by_step.apply(scale.height), _PHASES[str(phase)]
        _curve(axes, heights, *look, label=f"validation, {phase} phase", marker="o", markersize=4)
    scale.label(axes, scored["val_accuracy"])


def _curve(axes: Axes, rows: pd.DataFrame, colour: str, dashes: Any, **style: Any) -> None:
    figures.band(axes, rows.index, rows["min"], rows["max"], colour)
    style |= {"dashes": dashes} if dashes else {}
    axes.plot(rows.index, rows["mean"], color=light(colour), **style)
