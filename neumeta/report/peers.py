"""The second figure: what makes the first one unreadable when there are many methods."""

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from neumeta.report.curves import draw_method, handles
from neumeta.report.methods import Group, Method, describe, first_figure
from neumeta.report.style import accuracy_axis, look, new_figure, to_svg
from neumeta.report.tables import Statistics, measured

# Panels: what they hold beside NeuMeta, their title, and the main methods shown again.
_PANELS: tuple[tuple[Group, str, tuple[str, ...]], ...] = (
    ("pruned", "Pruned, no training", ("pruned-l1", "bypass")),
    ("finetuned", "Pruned, then fine-tuned", ("pruned-l1-finetuned",)),
    ("variant", "Variants", ("individual",)),
)


def further_methods(stats: Statistics) -> list[Method]:
    """List the methods that the first figure leaves out.

    Args:
        stats: What `statistics` returns.

    Returns:
        The methods in order; none where all fit into the first figure.
    """
    first = {method.name for method in first_figure(stats)}
    return [method for method in describe(stats) if method.name not in first]


def peers_figure(stats: Statistics, narrow: bool = False) -> str:
    """Draw the methods of the second figure, one panel for each kind, beside NeuMeta.

    Args:
        stats: What `statistics` returns.
        narrow: Draw for a phone.

    Returns:
        Standalone SVG; empty where the first figure holds everything.
    """
    further = further_methods(stats)
    panels: list[tuple[str, list[Method]]] = []
    for group, title, again in _PANELS:
        if own := [m for m in further if m.group == group and measured(stats, m.name)]:
            names = {"neumeta", *again, *(method.name for method in own)}
            kept = [m for m in describe(stats) if m.name in names and measured(stats, m.name)]
            panels.append((title, kept))
    if not panels:
        return ""
    shown = {method.name for _, methods in panels for method in methods}
    legend = [method for method in describe(stats) if method.name in shown]
    columns, across = (2, 1) if narrow else (4, len(panels))
    lines = -(-(len(legend) + 3) // columns)
    height = (230 * len(panels) if narrow else 290) + 19 * lines
    with look():
        figure = new_figure(345 if narrow else 800, height)
        grid = figure.subplots(len(panels) // across, across, squeeze=False).flatten()
        for axes, (title, methods) in zip(grid, panels, strict=True):
            _panel(axes, stats, title, methods)
        grid[0].set_ylabel("test accuracy (log error scale)")
        figure.legend(
            handles=handles(legend, stats, "panel"),
            loc="outside lower left",
            ncols=columns,
            handlelength=2.4,
            columnspacing=1.0,
            fontsize=9.5 if narrow else 10.5,
        )
        return to_svg(figure)


def _panel(axes: Axes, stats: Statistics, title: str, methods: list[Method]) -> None:
    points = [point for method in methods for point in measured(stats, method.name)]
    for place, method in enumerate(methods):
        draw_method(axes, measured(stats, method.name), method, "panel", place)
    axes.set_title(title)
    axes.set_xlabel("base width h (channels)")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 4, 5, 10], integer=True))
    accuracy_axis(
        axes, [value for point in points for value in (point.mean, point.low, point.high)]
    )
