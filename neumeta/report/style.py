"""How figures are drawn and saved: one look, and equal bytes for equal data."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neumeta.report.palette import PALETTE, light

POINTS = 72  # per inch: one figure unit is one SVG unit
_FLOOR = 1e-5  # the smallest error rate the accuracy axis can show
_TICKS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)

_RC: dict[str, Any] = {
    "svg.hashsalt": "neumeta",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "text.parse_math": False,
    "figure.dpi": POINTS,
    "figure.facecolor": light("paper"),
    "axes.facecolor": "none",
    "axes.edgecolor": light("muted"),
    "axes.labelcolor": light("muted"),
    "axes.titlecolor": light("ink"),
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 11,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": light("ink"),
    "xtick.color": light("muted"),
    "ytick.color": light("muted"),
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "grid.color": light("grid"),
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "lines.linewidth": 1.6,
    "axes.unicode_minus": True,
}


@contextmanager
def look() -> Iterator[None]:
    """Draw inside this: matplotlib's defaults and the house style, whatever the user's settings.

    Yields:
        Nothing.
    """
    with matplotlib.style.context(["default", _RC]):
        yield


def new_figure(width: int, height: int) -> Figure:
    """Make an empty figure.

    Args:
        width: Width, points.
        height: Height, points.

    Returns:
        A figure without axes that lays itself out.
    """
    return Figure(figsize=(width / POINTS, height / POINTS), dpi=POINTS, layout="constrained")


def to_svg(figure: Figure) -> str:
    """Save a figure as a standalone SVG on white paper.

    Args:
        figure: What was drawn.

    Returns:
        The SVG; it holds no date and no random name.
    """
    buffer = StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue().replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans', sans-serif")
    svg = re.sub(r'\b(d|x|y|transform)="[^"]*"', _shorten, svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _shorten(attribute: re.Match[str]) -> str:
    """Round coordinates to a hundredth of a point: less text, and no platform's last digit."""
    return re.sub(r"-?\d+\.\d{3,}", lambda n: f"{float(n[0]):.2f}", attribute[0])


def inline(svg: str, prefix: str) -> str:
    """Turn a standalone SVG into one for the page: no header, own ids, colours as variables.

    Args:
        svg: What `to_svg` returns.
        prefix: Put before every id, so that several figures can share a page.

    Returns:
        An `<svg>` element, sized by its box, without any reference to the outside.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    for name, shade in PALETTE.items():
        svg = svg.replace(shade.light, f"var(--{name})")
    return svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1).strip()


def accuracy_height(accuracy: Any) -> Any:
    """Place accuracies on an axis that spreads small errors: minus the log of the error rate.

    From 90 to 99 % is as far as from 0 to 90 %, so a floor near chance and differences of a
    point near the top are readable in one picture.

    Args:
        accuracy: Fractions 0 to 1, any shape.

    Returns:
        Heights of the same shape; 0 for an accuracy of 0.
    """
    return -np.log10(np.maximum(1.0 - np.asarray(accuracy, dtype=float), _FLOOR))


def accuracy_axis(axes: Axes, values: Any) -> None:
    """Give the y axis accuracy labels, and limits around the values.

    Args:
        axes: Whose y axis is drawn with `accuracy_height`.
        values: All accuracies drawn, fractions.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.99)
    bottom, top = accuracy_height(low), accuracy_height(min(high, 1 - 5e-4))
    span = max(top - bottom, 0.15)
    bottom, top = max(bottom - 0.06 * span, -0.02), top + 0.08 * span
    ticks: list[float] = []
    for tick in _TICKS:
        away = accuracy_height(tick) - (accuracy_height(ticks[-1]) if ticks else -1)
        if bottom <= accuracy_height(tick) <= top and away > 0.055 * span:
            ticks.append(tick)
    if len(ticks) < 4:  # a narrow range: evenly spaced accuracies
        even = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, min(high, 1 - 5e-4))
        ticks = [tick for tick in even if bottom <= accuracy_height(tick) <= top]
    axes.set_ylim(bottom, top)
    axes.set_yticks(
        [float(accuracy_height(tick)) for tick in ticks],
        [f"{round(100 * tick, 3):g} %" for tick in ticks],
    )
    axes.grid(axis="y")
    axes.tick_params(length=0, axis="y")
