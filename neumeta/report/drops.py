"""How far below the base network each method lies: the table and the figure, in points."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from neumeta.report.curves import draw_method, handles
from neumeta.report.facts import Facts
from neumeta.report.methods import Method, describe, first_figure
from neumeta.report.palette import light
from neumeta.report.style import look, new_figure, to_svg
from neumeta.report.tables import Statistics, all_widths, key_widths, measured, statistics
from neumeta.report.wording import MINUS

_DEEPEST = 6.0  # points below the base that the figure shows at most


class Drop(NamedTuple):
    """One method at one width.

    Attributes:
        mean: Points below the base network, over the seeds; negative is above.
        std: Sample standard deviation, points; NaN below two seeds.
        n: Number of seeds.
    """

    mean: float
    std: float
    n: int


class DropTable(NamedTuple):
    """Drops of all methods at chosen widths.

    Attributes:
        base: Accuracy of the base network, fraction.
        widths: Chosen widths, largest first.
        seen: Of those, the widths that the INR was trained at.
        rows: Per method the drop by width; widths without a value are left out.
        published: Published accuracy of NeuMeta by chosen width, fractions.
        published_base: Published accuracy of the base network, fraction, or None.
    """

    base: float
    widths: list[int]
    seen: frozenset[int]
    rows: list[tuple[Method, dict[int, Drop]]]
    published: dict[int, float]
    published_base: float | None

    def published_drop(self, width: int) -> float | None:
        """Points that were lost in the paper.

        Args:
            width: One of `widths`.

        Returns:
            The drop, or None where the paper gives none.
        """
        if self.published_base is None or width not in self.published:
            return None
        return 100 * (self.published_base - self.published[width])


def drop_table(facts: Facts) -> DropTable | None:
    """Compare with the base network.

    Args:
        facts: The inputs of the report; `params.report` may hold published numbers.

    Returns:
        The table, or None without a base network or without NeuMeta.
    """
    stats = statistics(facts.results)
    base, ours = measured(stats, "base"), measured(stats, "neumeta")
    if not base or not ours:
        return None
    text = facts.params.get("report") or {}
    published = _fractions(text.get("published") or {})
    top = base[-1].mean
    measured_widths = {point.width for point in ours}
    chosen = (published.keys() or set(key_widths(stats))) & measured_widths or measured_widths
    rows = []
    for method in describe(stats):
        drops = {
            point.width: Drop(100 * (top - point.mean), 100 * point.std, point.n)
            for point in measured(stats, method.name)
            if point.width in chosen
        }
        if drops and method.name != "base":
            rows.append((method, drops))
    return DropTable(
        base=top,
        widths=sorted(chosen, reverse=True),
        seen=frozenset(point.width for point in ours if point.seen),
        rows=rows,
        published={width: value for width, value in published.items() if width in chosen},
        published_base=_fraction(text.get("published_base")),
    )


def drop_figure(facts: Facts, narrow: bool = False) -> str:
    """Draw the main methods as points below the base network, close to it.

    Args:
        facts: The inputs of the report.
        narrow: Draw for a phone.

    Returns:
        Standalone SVG; an empty frame without a base network or without NeuMeta.
    """
    stats = statistics(facts.results)
    table = drop_table(facts)
    names = {method.name for method in first_figure(stats)} if table else set()
    stats = {name: stats[name] for name in stats if name in names and measured(stats, name)}
    methods = describe(stats)
    columns = 2 if narrow else 4
    rows = -(-(len(methods) + 4) // columns)
    with look():
        figure = new_figure(345 if narrow else 800, (280 if narrow else 300) + 19 * rows)
        axes = figure.add_subplot()
        axes.set_xlabel("base width h (channels)")
        axes.set_ylabel("points below the base")
        if table is None:
            axes.text(0.5, 0.5, "no base network measured", ha="center", transform=axes.transAxes)
            return to_svg(figure)
        base, every = table.base, all_widths(stats)
        for place, method in enumerate(methods):
            points = measured(stats, method.name)
            draw_method(axes, points, method, "width", place, lambda a: _below(a, base))
        depth, top = _limits(stats, table)
        visible = [
            m for m in methods if any(p.high > base - depth / 100 for p in stats[m.name].values())
        ]
        entries = handles(visible, stats, "width")
        drops = {width: table.published_drop(width) for width in table.published}
        if known := {width: drop for width, drop in drops.items() if drop is not None}:
            style: dict[str, Any] = {"linestyle": "none", "marker": "*", "markersize": 13}
            style |= {"color": light("red"), "markeredgecolor": light("paper")}
            axes.plot(list(known), [-drop for drop in known.values()], **style, zorder=20)
            entries.insert(1, Line2D([], [], label="NeuMeta, published", **style))
        axes.set_ylim(-depth, top)
        axes.set_xlim(every[0] - 0.7, every[-1] + 0.7)
        axes.yaxis.set_major_formatter(FuncFormatter(_axis_label))
        axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_locator(MaxNLocator(8 if narrow else 15, steps=[1, 2, 4, 5, 10]))
        axes.grid(axis="y")
        axes.tick_params(length=0, axis="y")
        figure.legend(
            handles=entries,
            loc="outside lower left",
            ncols=columns,
            handlelength=2.2 if narrow else 2.6,
            columnspacing=1.0 if narrow else 1.4,
            fontsize=10 if narrow else 10.5,
        )
        return to_svg(figure)


def _below(accuracy: Any, base: float) -> Any:
    """Points above the base network (negative below it), for one or many fractions."""
    return 100 * (np.asarray(accuracy, dtype=float) - base)


def _limits(stats: Statistics, table: DropTable) -> tuple[float, float]:
    """Depth and top of the picture: all of NeuMeta, but not deeper than `_DEEPEST`."""
    worst = [100 * (table.base - point.low) for point in measured(stats, "neumeta")]
    worst += [drop for width in table.published if (drop := table.published_drop(width))]
    best = max(100 * (p.high - table.base) for name in stats for p in measured(stats, name))
    depth = min(max(1.1 * max(worst), 2.0), _DEEPEST)
    return depth, max(best, 0.0) + 0.06 * depth


def _axis_label(value: float, _: int) -> str:
    """Write the depth without a sign below the base, and with a plus above it."""
    text = f"{abs(value):g}"
    return f"+{text}" if value > 1e-9 else text


def signed(value: float, digits: int) -> str:
    """Write a drop: points below the base, a gain with a minus.

    Args:
        value: Points.
        digits: Decimals.

    Returns:
        Such as `0.31` or `−0.12`; never a negative zero.
    """
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else f"{0:.{digits}f}"


def _fractions(published: Mapping[Any, Any]) -> dict[int, float]:
    return {int(width): float(value) / 100 for width, value in published.items()}


def _fraction(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value) / 100
