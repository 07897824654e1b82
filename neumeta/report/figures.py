"""How figures are drawn and saved: one look, and equal bytes for equal data."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neumeta.report import blocks
from neumeta.report.palette import PALETTE, light

_POINTS = 72  # per inch: one figure unit is one SVG unit
_MANY = 10_000  # examples, where their number is not known
_TICKS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)
_STEPS = (1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100)  # between the marks of widths

_RC: dict[str, Any] = {
    **{"svg.hashsalt": "neumeta", "svg.fonttype": "none", "text.parse_math": False},
    **{"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 11},
    **{"figure.dpi": _POINTS, "figure.facecolor": light("paper"), "axes.facecolor": "none"},
    **{f"{part}.color": light("muted") for part in ("xtick", "ytick")},
    **{"axes.edgecolor": light("muted"), "axes.labelcolor": light("muted"), "axes.labelsize": 11},
    **{"axes.titlesize": 11.5, "axes.titlelocation": "left", "axes.titleweight": "bold"},
    **{"axes.titlecolor": light("ink"), "text.color": light("ink"), "axes.unicode_minus": True},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True},
    **{"axes.linewidth": 0.8, "grid.linewidth": 0.8, "lines.linewidth": 1.6},
    **{"grid.color": light("grid"), "legend.frameon": False, "legend.fontsize": 10.5},
    **{"legend.handlelength": 2.6, "legend.columnspacing": 1.4},
}


@contextmanager
def look() -> Iterator[None]:
    """Draw inside this: matplotlib's defaults and the house style, whatever the user's settings."""
    # Not matplotlib.style: it reads all styles of the user, and one that is damaged ends it.
    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_RC}
    del settings["backend"]
    with matplotlib.rc_context(settings):
        yield


def new_figure(height: int, width: int = 720) -> Figure:
    """Make an empty figure that lays itself out; height and width in points."""
    return Figure((width / _POINTS, height / _POINTS), dpi=_POINTS, layout="constrained")


def shade_trained(axes: Axes, seen: Mapping[int, bool], words: str = "", pad: float = 0.5) -> None:
    """Shade the values of the horizontal axis that were trained, and write into the first shade."""
    runs = [list(run) for trained, run in itertools.groupby(sorted(seen), seen.get) if trained]
    for run in runs:
        axes.axvspan(run[0] - pad, run[-1] + pad, color=light("tint"), linewidth=0, zorder=0)
    if runs and words:
        style: dict[str, Any] = {"va": "top", "color": light("muted"), "fontsize": 10}
        axes.text(runs[0][0] - 0.3, 0.985, words, transform=axes.get_xaxis_transform(), **style)


def band(axes: Axes, x: Any, low: Any, high: Any, colour: str, **style: Any) -> None:
    """Draw a pale band of a colour of the palette, such as from the worst to the best seed."""
    axes.fill_between(x, low, high, color=light(colour), alpha=0.16, linewidth=0, **style)


def width_axis(axes: Axes, widths: Iterable[int], marks: int = 14, pad: float = 0.7) -> None:
    """Let the horizontal axis be that of base widths, marked where something was measured."""
    widths = sorted(widths)
    axes.set_xlim(min(widths, default=0) - pad, max(widths, default=1) + pad)
    axes.set_xlabel("base width h (channels)")
    axes.set_xticks(width_marks(widths, marks))


def width_marks(widths: Sequence[int], marks: int) -> list[int]:
    """Choose both ends of ascending widths, and about `marks` of them in all, evenly spaced."""
    if not widths:
        return []
    least, span = widths[0], widths[-1] - widths[0]
    step = next((step for step in _STEPS if step * marks >= span), -(-span // marks))
    kept = [least]
    for width in widths:
        if width - kept[-1] >= step:
            kept.append(width)
    if kept[-1] != widths[-1]:  # the end, instead of what would be too close to it
        kept = [*(width for width in kept if width == least or widths[-1] - width >= step)]
        kept.append(widths[-1])
    return kept


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """Give a picture of rows their names, from the top, and a grid across."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, colors=light("ink"))
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")


def legend(figure: Figure, handles: Sequence[Any], columns: int = 4) -> None:
    """Put the legend below the axes; each entry has a label."""
    figure.legend(handles=handles, loc="outside lower left", ncols=columns)


def saved(figure: Figure, axes: Axes | None = None, values: Iterable[int] = ()) -> blocks.Drawing:
    """Save a figure without any date or random name; `values` of its axes can be picked."""
    buffer = StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue().replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans', sans-serif")
    svg = re.sub(r'\b(d|x|y|transform)="[^"]*"', _shorten, svg)
    svg = "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
    if axes is None:
        return blocks.Drawing(svg)
    box = axes.get_window_extent()
    places = {v: round(float(axes.transData.transform((v, 0))[0]), 2) for v in values}
    top, bottom = (round(figure.bbox.height - float(y), 2) for y in (box.y1, box.y0))
    return blocks.Drawing(svg, places, top, bottom)


def _shorten(attribute: re.Match[str]) -> str:
    """Round coordinates to a hundredth of a point: less text, and no platform's last digit."""
    return re.sub(r"-?\d+\.\d{3,}", lambda n: f"{float(n[0]):.2f}", attribute[0])


def inline(svg: str, prefix: str) -> str:
    """Turn an SVG into an element of a page, with its colours, and ids that begin with `prefix`."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    for size in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?)\s{size}="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    for name in PALETTE:
        svg = svg.replace(light(name), f"var(--{name})")
    return svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1).strip()


class Accuracies(NamedTuple):
    """An axis of accuracies that spreads small errors.

    Heights are minus the log of the error rate: from 90 to 99 % is as far as from 0 to 90 %, so a
    floor near chance and differences of a point near the top are readable in one picture. No error
    at all, which has no height, is drawn as half an example.
    """

    examples: int | None = None  # that accuracies were measured on; None where not known

    def height(self, accuracy: Any) -> Any:
        """Place accuracies, fractions of any shape, on the axis."""
        least = 0.5 / (self.examples or _MANY)
        return -np.log10(np.maximum(1.0 - np.asarray(accuracy, dtype=float), least))

    def limits(self, values: Any) -> tuple[float, float]:
        """Lower and upper end, as heights, of an axis that shows some accuracies."""
        finite = np.asarray(values, dtype=float)
        finite = finite[np.isfinite(finite)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.99)
        bottom, top = float(self.height(low)), float(self.height(high))
        span = max(top - bottom, 0.15)
        return max(bottom - 0.06 * span, -0.02), top + 0.08 * span

    def label(self, axes: Axes, values: Any, apart: float = 0.055) -> None:
        """Give a y axis drawn with `height` limits around some accuracies, and its labels."""
        bottom, top = self.limits(values)
        low, high = (1 - 10.0**-end for end in (bottom, top))

        def chosen(accuracies: Iterable[float]) -> list[float]:
            """Those inside, from the top, that are not too close to one another."""
            kept: list[float] = []
            for value in sorted(accuracies, reverse=True):
                height = self.height(value)
                away = self.height(kept[-1]) - height if kept else top
                if bottom <= height <= top and away > apart * (top - bottom):
                    kept.append(value)
            return kept

        ticks = chosen(_TICKS)
        for number in (5, 8, 12):  # a narrow range: evenly spaced accuracies
            if len(ticks) < 4:
                even = MaxNLocator(number, steps=[1, 2, 5, 10])
                ticks = chosen(even.tick_values(max(low, 0.0), high))
        axes.set_ylim(bottom, top)
        axes.set_yticks(
            [float(self.height(tick)) for tick in ticks],
            [f"{round(100 * tick, 3):g} %" for tick in ticks],
        )
        axes.grid(True, axis="y")
        axes.tick_params(length=0, axis="y")
