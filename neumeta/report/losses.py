"""The figure of training: the base network, and both phases of the INR."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from neumeta.report.palette import light
from neumeta.report.style import accuracy_axis, accuracy_height, look, new_figure, to_svg

# Parts of the loss: column, label, colour, dashes.
_PARTS = (
    ("loss", "total loss", "ink", ()),  # drawn wide and pale, under its parts
    ("task", "task", "blue", ()),
    ("distillation", "distillation", "orange", (6.0, 2.0)),
    ("reconstruction", "reconstruction", "green", (2.0, 2.0)),
    ("regularisation", "regularisation", "purple", (1.0, 1.5)),
)


def losses_figure(
    base_history: pd.DataFrame, train_history: pd.DataFrame, narrow: bool = False
) -> str:
    """Draw the loss curves on a log scale, with the validation accuracies beside them.

    Args:
        base_history: Columns epoch, loss, val_accuracy.
        train_history: Columns seed, phase (warm or task), step, loss and its parts, val_accuracy.
        narrow: Draw for a phone.

    Returns:
        Standalone SVG; a panel without data is left out.
    """
    panels = _panels(base_history, train_history)
    columns = 1 if narrow else min(2, max(len(panels), 1))
    rows = max(1, -(-len(panels) // columns))
    with look():
        figure = new_figure(345 if narrow else 800, (205 if narrow else 215) * rows + 50)
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes, draw in zip(grid, panels, strict=False):
            draw(axes)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        handles = {
            text: handle
            for axes in grid
            for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if handles:
            figure.legend(
                handles=list(handles.values()),
                labels=list(handles),
                loc="outside lower left",
                ncols=2 if narrow else 6,
                handlelength=2.4,
            )
        return to_svg(figure)


def _panels(base: pd.DataFrame, train: pd.DataFrame) -> list[Callable[[Axes], None]]:
    panels: list[Callable[[Axes], None]] = []
    if len(base):
        panels.append(lambda axes: _losses(axes, base, "epoch", "Base network"))
    for phase, title in (("warm", "INR, warm start"), ("task", "INR, task phase")):
        rows = train[train["phase"] == phase]
        if len(rows):
            panels.append(
                lambda axes, rows=rows, title=title: _losses(axes, rows, "step", title)  # type: ignore[misc]
            )
    if train["val_accuracy"].notna().any():
        panels.append(lambda axes: _validation(axes, train))
    return panels


def _losses(axes: Axes, rows: pd.DataFrame, x: str, title: str) -> None:
    axes.set_title(title)
    axes.set_yscale("log")
    parts = [part for part in _PARTS if part[0] in rows and (rows[part[0]] > 0).any()]
    for column, label, colour, dashes in parts:
        by_step = rows[rows[column] > 0].groupby(x)[column]
        middle = by_step.mean()
        style: dict[str, Any] = {"dashes": dashes} if dashes else {}
        axes.fill_between(
            middle.index, by_step.min(), by_step.max(), color=light(colour), alpha=0.15, linewidth=0
        )
        total: dict[str, Any] = (
            {"linewidth": 4.5, "alpha": 0.3} if column == "loss" and len(parts) > 1 else {}
        )
        axes.plot(middle.index, middle, color=light(colour), label=label, **style, **total)
    axes.set_xlabel(x)
    axes.set_ylabel("loss (log scale)")
    _plain_log_labels(axes)
    axes.grid(axis="y")


def _plain_log_labels(axes: Axes) -> None:
    """Write decades as numbers; a range below one decade gets a few round ticks."""
    low, high = axes.get_ylim()
    marks = [s * 10.0**e for e in range(-12, 7) for s in (1, 2, 5)]
    inside = [mark for mark in marks if low <= mark <= high]
    if len(inside) > 6:
        inside = [mark for mark in inside if f"{mark:e}".startswith("1.0")]
    if len(inside) > 6:
        inside = inside[:: -(-len(inside) // 5)]
    axes.set_yticks(inside, [f"{mark:g}" for mark in inside])
    axes.set_yticks([], minor=True)
    axes.set_ylim(low, high)


def _validation(axes: Axes, train: pd.DataFrame) -> None:
    rows = train[train["val_accuracy"].notna()]
    phases = [phase for phase in ("warm", "task") if (rows["phase"] == phase).any()]
    axes.set_title("INR, validation accuracy")
    for phase, colour, dashes in zip(phases, ("sky", "blue"), ((4.0, 2.0), ()), strict=False):
        by_step = rows[rows["phase"] == phase].groupby("step")["val_accuracy"]
        middle = by_step.mean()
        style: dict[str, Any] = {"dashes": dashes} if dashes else {}
        axes.fill_between(
            middle.index,
            accuracy_height(by_step.min()),
            accuracy_height(by_step.max()),
            color=light(colour),
            alpha=0.15,
            linewidth=0,
        )
        axes.plot(
            middle.index,
            accuracy_height(middle),
            color=light(colour),
            marker="o",
            markersize=4,
            label=f"validation, {phase} phase",
            **style,
        )
    accuracy_axis(axes, rows["val_accuracy"].to_numpy())
    axes.set_xlabel("step of the phase")
    axes.set_ylabel("mean over probe widths")
