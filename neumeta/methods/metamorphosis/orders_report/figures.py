"""The figures of a study: total variation and gap of every network, accuracy of the INRs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from neumeta.measure.statistics import Spread
from neumeta.methods.metamorphosis.orders_report.inputs import NetworkOrders, StudyInrs
from neumeta.methods.metamorphosis.orders_report.looks import ORIGINAL, STRATEGIES
from neumeta.report import figures
from neumeta.report.blocks import Drawing
from neumeta.report.palette import light

_SMALLEST_GAP = 1e-5  # drawn for a gap that is proven to be zero


def variation_figure(networks: Sequence[NetworkOrders]) -> Drawing:
    """Draw the total variation of every network as a share of its original order."""
    rows = {n.network: {s: n.relative(s) for s in STRATEGIES} for n in networks}
    return _rows(rows, "total variation, % of that of the original order", "linear")


def gap_figure(networks: Sequence[NetworkOrders]) -> Drawing:
    """Draw how far the paths of all groups together are above the proven bound."""
    rows: dict[str, dict[str, Spread]] = {network.network: {} for network in networks}
    for network in networks:
        for strategy in STRATEGIES:
            if (gap := network.gap(strategy)) is not None:
                rows[network.network][strategy] = Spread(max(gap, _SMALLEST_GAP), 0.0, 1)
    return _rows(rows, "length of the paths above the proven bound, %", "log")


def _rows(rows: Mapping[str, Mapping[str, Spread]], label: str, scale: str) -> Drawing:
    """One row a network, one mark a strategy, slightly apart; values are fractions."""
    with figures.look():
        figure = figures.new_figure(100 + 46 * len(rows), 660)
        axes = figure.add_subplot()
        axes.set_xscale(scale)
        axes.xaxis.set_major_formatter("{x:g}")
        for place, spreads in enumerate(rows.values()):
            axes.axhline(place + 0.5, color=light("grid"), linewidth=0.8)
            for strategy, spread in spreads.items():
                y = place + 0.13 * (list(STRATEGIES).index(strategy) - 2)
                _mark(axes, strategy, 100 * spread.mean, y, 100 * _whisker(spread))
        figures.named_rows(axes, [name.replace("-", "\n", 1) for name in rows])
        axes.set_xlabel(label)
        return _finished(figure)


def accuracy_figure(inrs: StudyInrs) -> Drawing:
    """Draw the accuracy of the INRs from each order against the width."""
    scale, widths = figures.Accuracies(inrs.examples), list(inrs.seen)
    base = float(scale.height(inrs.controls.base))
    values = [inrs.controls.base]
    with figures.look():
        figure = figures.new_figure(400)
        axes = figure.add_subplot()
        figures.shade_trained(axes, inrs.seen, pad=1.5)
        for place, (strategy, look) in enumerate(STRATEGIES.items()):
            spreads = [inrs.accuracy(strategy, width) for width in widths]
            low, high = ([s.mean + sign * _whisker(s) for s in spreads] for sign in (-1, 1))
            values += [*low, *high]
            x = [width + 0.35 * (place - 2) for width in widths]
            heights = scale.height([spread.mean for spread in spreads])
            ends = scale.height(low), scale.height(high)
            axes.plot(x, heights, color=light(look.colour), linewidth=1.3, zorder=3)
            axes.vlines(x, *ends, color=light(look.colour))
            _mark(axes, strategy, x, heights, 0.0)
        axes.axhline(base, color=light("muted"), linestyle="--")
        style: dict[str, Any] = {"va": "bottom", "color": light("muted"), "fontsize": 10}
        axes.text(widths[0] - 1, base, "base network", **style)
        scale.label(axes, values)
        axes.set_ylabel("accuracy (log error scale)")
        figures.width_axis(axes, widths, pad=2.0)
        return _finished(figure)


def _look(strategy: str) -> dict[str, Any]:
    look = STRATEGIES[strategy]
    return {"color": light(look.colour), "marker": look.marker, "linestyle": "none"}


def _mark(axes: Axes, strategy: str, x: Any, y: Any, whisker: float) -> None:
    edge = 1.6 if STRATEGIES[strategy].marker == "x" else 0.0
    style: dict[str, Any] = {
        "markersize": 4.5 if strategy == ORIGINAL else 6.5,
        "markeredgewidth": edge,
    }
    axes.errorbar(x, y, xerr=whisker or None, zorder=4, **_look(strategy), **style)


def _whisker(spread: Spread) -> float:
    return spread.std if math.isfinite(spread.std) else 0.0


def _finished(figure: figures.Figure) -> Drawing:
    marks = [Line2D([], [], label=look.label, **_look(name)) for name, look in STRATEGIES.items()]
    figures.legend(figure, marks, 5)
    return figures.saved(figure)
