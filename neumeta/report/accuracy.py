"""The figures of accuracy against width and against size."""

from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from neumeta.report.curves import Against, draw_method, handles
from neumeta.report.methods import first_figure
from neumeta.report.palette import light
from neumeta.report.style import accuracy_axis, look, new_figure, to_svg
from neumeta.report.tables import Statistics, all_points, all_widths, measured
from neumeta.report.wording import count

_LINEAR_BELOW = 5  # sizes that differ by less than this factor get a linear axis


class Drawing(NamedTuple):
    """A figure and where its widths lie.

    Attributes:
        svg: Standalone SVG.
        x: Horizontal place of each width, SVG units; empty if the axis is not the width.
        top: Upper edge of the axes, SVG units.
        bottom: Lower edge of the axes, SVG units.
    """

    svg: str
    x: Mapping[int, float] = {}
    top: float = 0.0
    bottom: float = 0.0


def accuracy_figure(stats: Statistics, against: Against, narrow: bool = False) -> Drawing:
    """Draw the main methods: the mean as a line, a band from the worst to the best seed.

    Args:
        stats: What `statistics` returns.
        against: The horizontal axis.
        narrow: Draw for a phone.

    Returns:
        The figure.
    """
    methods = [method for method in first_figure(stats) if measured(stats, method.name)]
    stats = {method.name: stats[method.name] for method in methods} or stats
    columns = 2 if narrow else 4
    rows = -(-(len(methods) + 3) // columns)
    with look():
        figure = new_figure(345 if narrow else 800, (330 if narrow else 360) + 19 * rows)
        axes = figure.add_subplot()
        if against == "width":
            _shade_seen(axes, stats)
        for place, method in enumerate(methods):
            draw_method(axes, measured(stats, method.name), method, against, place)
        _finish_x(axes, stats, against, narrow)
        accuracy_axis(axes, [v for p in all_points(stats) for v in (p.mean, p.low, p.high)])
        axes.set_ylabel("test accuracy (log error scale)")
        figure.legend(
            handles=handles(methods, stats, against),
            loc="outside lower left",
            ncols=columns,
            handlelength=2.2 if narrow else 2.6,
            columnspacing=1.0 if narrow else 1.4,
            fontsize=10 if narrow else 10.5,
        )
        svg = to_svg(figure)
        places = all_widths(stats) if against == "width" else []
        return _located(svg, figure.bbox.height, axes, places)


def _located(svg: str, total: float, axes: Axes, widths: list[int]) -> Drawing:
    box = axes.get_window_extent()
    places = {w: round(float(axes.transData.transform((w, 0))[0]), 2) for w in widths}
    return Drawing(svg, places, round(total - float(box.y1), 2), round(total - float(box.y0), 2))


def _shade_seen(axes: Axes, stats: Statistics) -> None:
    every = all_widths(stats)
    for place, (first, last) in enumerate(_runs(all_widths(stats, seen_only=True), every)):
        axes.axvspan(first - 0.5, last + 0.5, color=light("tint"), linewidth=0, zorder=0)
        if place == 0:
            axes.text(
                first - 0.3,
                0.985,
                "trained widths",
                transform=axes.get_xaxis_transform(),
                va="top",
                color=light("muted"),
                fontsize=10,
            )
    axes.set_xlim(every[0] - 0.7, every[-1] + 0.7)


def _runs(seen: list[int], every: list[int]) -> list[tuple[int, int]]:
    """Join seen widths with no unseen one between them into (first, last)."""
    runs: list[tuple[int, int]] = []
    for width in seen:
        if runs and not any(runs[-1][1] < other < width for other in every):
            runs[-1] = (runs[-1][0], width)
        else:
            runs.append((width, width))
    return runs


def _finish_x(axes: Axes, stats: Statistics, against: Against, narrow: bool) -> None:
    if against == "width":
        axes.set_xlabel("base width h (channels)")
        axes.xaxis.set_major_locator(
            MaxNLocator(8 if narrow else 15, steps=[1, 2, 4, 5, 10], integer=True)
        )
        return
    axes.grid(axis="x")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    sizes = [point.params for point in all_points(stats)]
    low, high = min(sizes), max(sizes)
    if high < _LINEAR_BELOW * low:
        axes.set_xlabel("parameters of the whole network")
        axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 8, steps=[1, 2, 5, 10]))
        return
    axes.set_xscale("log")
    axes.set_xlabel("parameters of the whole network (log scale)")
    steps = (1, 3) if narrow else (1, 2, 5)
    marks = [s * 10.0**e for e in range(13) for s in steps]
    axes.xaxis.set_major_locator(FixedLocator([m for m in marks if low * 0.9 <= m <= high * 1.1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
