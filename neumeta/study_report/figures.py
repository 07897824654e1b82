"""The figures of a study: total variation and gap of every network, accuracy of the INRs."""

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from neumeta.report.palette import light
from neumeta.report.style import accuracy_axis, accuracy_height, look, new_figure, to_svg
from neumeta.study_report.facts import NetworkOrders, Spread, StudyInrs
from neumeta.study_report.labels import LABELS, ORIGINAL

_SMALLEST_GAP = 1e-5  # drawn for a gap that is proven to be zero


def variation_figure(networks: Sequence[NetworkOrders], narrow: bool = False) -> str:
    """Draw the total variation of every network as a share of its original order.

    Args:
        networks: One row each.
        narrow: Draw for a phone.

    Returns:
        Standalone SVG.
    """

    def draw(axes: Axes, strategy: str, place: float, network: NetworkOrders) -> None:
        spread = network.relative(strategy)
        _mark(axes, strategy, 100 * spread.mean, place, 100 * _whisker(spread))

    return _rows(networks, draw, "total variation, % of that of the original order", narrow)


def gap_figure(networks: Sequence[NetworkOrders], narrow: bool = False) -> str:
    """Draw how far the paths of all groups together are above the proven bound.

    Args:
        networks: One row each.
        narrow: Draw for a phone.

    Returns:
        Standalone SVG.
    """

    def draw(axes: Axes, strategy: str, place: float, network: NetworkOrders) -> None:
        if (gap := network.gap(strategy)) is not None:
            _mark(axes, strategy, 100 * max(gap, _SMALLEST_GAP), place, 0.0)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

    return _rows(networks, draw, "length of the paths above the proven bound, %", narrow)


def _rows(
    networks: Sequence[NetworkOrders],
    draw: Callable[[Axes, str, float, NetworkOrders], None],
    label: str,
    narrow: bool,
) -> str:
    """One row a network, one mark a strategy, slightly apart."""
    with look():
        figure = new_figure(345 if narrow else 800, 100 + 46 * len(networks))
        axes = figure.add_subplot()
        for row, network in enumerate(networks):
            for place, strategy in enumerate(LABELS):
                draw(axes, strategy, row + 0.13 * (place - 2), network)
        axes.set_yticks(range(len(networks)), [n.name.replace("-", "\n", 1) for n in networks])
        axes.set_ylim(len(networks) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0, colors=light("ink"))
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(label)
        axes.grid(axis="x")
        for row in range(1, len(networks)):
            axes.axhline(row - 0.5, color=light("grid"), linewidth=0.8)
        _legend(figure, narrow)
        return to_svg(figure)


def accuracy_figure(inrs: StudyInrs, narrow: bool = False) -> str:
    """Draw the accuracy of the INRs from each order against the width.

    Args:
        inrs: What was measured.
        narrow: Draw for a phone.

    Returns:
        Standalone SVG.
    """
    with look():
        figure = new_figure(345 if narrow else 800, 400)
        axes = figure.add_subplot()
        values, widths = [inrs.base], inrs.widths
        seen = [width for width in widths if inrs.seen(width)]
        if seen:
            axes.axvspan(min(seen) - 1.5, max(seen) + 1.5, color=light("tint"), linewidth=0)
        for place, (strategy, label) in enumerate(LABELS.items()):
            spreads = [inrs.accuracy(strategy, width) for width in widths]
            low, high = ([s.mean + sign * _whisker(s) for s in spreads] for sign in (-1, 1))
            values += [*low, *high]
            x = [width + 0.35 * (place - 2) for width in widths]
            heights = [float(accuracy_height(s.mean)) for s in spreads]
            axes.plot(x, heights, color=light(label.colour), linewidth=1.3, zorder=3)
            axes.vlines(x, accuracy_height(low), accuracy_height(high), color=light(label.colour))
            for at, height in zip(x, heights, strict=True):
                _mark(axes, strategy, at, height, 0.0)
        axes.axhline(float(accuracy_height(inrs.base)), color=light("muted"), linestyle="--")
        axes.text(
            widths[0] - 1,
            float(accuracy_height(inrs.base)),
            "base network",
            va="bottom",
            color=light("muted"),
            fontsize=10,
        )
        accuracy_axis(axes, values)
        axes.set_xlim(widths[0] - 2, widths[-1] + 2)
        axes.set_ylabel("accuracy (log error scale)")
        axes.set_xlabel("base width h (channels)")
        axes.xaxis.set_major_locator(MaxNLocator(6 if narrow else 12, integer=True))
        _legend(figure, narrow)
        return to_svg(figure)


def _mark(axes: Axes, strategy: str, x: float, y: float, whisker: float) -> None:
    label = LABELS[strategy]
    axes.errorbar(
        x,
        y,
        xerr=whisker or None,
        fmt=label.marker,
        color=light(label.colour),
        markersize=4.5 if strategy == ORIGINAL else 6.5,
        markeredgewidth=1.6 if label.marker == "x" else 0.0,
        linestyle="none",
        zorder=4,
    )


def _whisker(spread: Spread) -> float:
    return spread.std if math.isfinite(spread.std) else 0.0


def _legend(figure: Figure, narrow: bool) -> None:
    marks = [
        Line2D([], [], color=light(la.colour), marker=la.marker, linestyle="none", label=la.text)
        for la in LABELS.values()
    ]
    figure.legend(handles=marks, loc="outside lower left", ncols=2 if narrow else 5)
