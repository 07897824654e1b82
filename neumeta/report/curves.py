"""How one method's curve is drawn, and how the legend shows it."""

from collections.abc import Callable
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from neumeta.report.methods import Method
from neumeta.report.palette import light
from neumeta.report.style import accuracy_height
from neumeta.report.tables import Point, Statistics, measured

Against = Literal["width", "params", "panel"]  # panel: the width, in a small picture
_FEW = 12  # points that always get marks


def draw_method(
    axes: Axes,
    points: list[Point],
    method: Method,
    against: Against,
    place: int,
    height: Callable[[Any], Any] = accuracy_height,
) -> None:
    """Draw one method: the mean as a line, the worst to the best seed as a band.

    Args:
        axes: Where to draw.
        points: What was measured, at least one point.
        method: Its look.
        against: The horizontal axis.
        place: Position in the legend; earlier ones lie on top.
        height: From accuracies to places on the y axis.
    """
    x = [float(point.params if against == "params" else point.width) for point in points]
    y = height([point.mean for point in points])
    order = 3 + (10 if method.strong else 0) - 0.1 * place
    if method.name == "base":
        axes.axhline(y[0], **_line(method) | {"linewidth": 1}, zorder=2)
    elif len(points) > 1:
        axes.fill_between(
            x,
            height([point.low for point in points]),
            height([point.high for point in points]),
            color=light(method.colour),
            alpha=0.16,
            linewidth=0,
            zorder=order - 1,
        )
        axes.plot(x, y, **_line(method), zorder=order)
    for seen in (True, False) if _marked(method, points, against) else ():
        chosen = [place for place, point in enumerate(points) if point.seen is seen]
        if chosen:
            style = _marker(method, seen)
            axes.plot([x[i] for i in chosen], y[chosen], **style, zorder=order + 0.05)


def handles(methods: list[Method], stats: Statistics, against: Against) -> list[Line2D | Patch]:
    """Make the entries of a legend.

    Args:
        methods: What is drawn, in order.
        stats: What `statistics` returns.
        against: The horizontal axis.

    Returns:
        One entry per method, and the key to marks and bands.
    """
    entries: list[Line2D | Patch] = []
    for method in methods:
        style = _marker(method, True) | {"linestyle": "-"} | _line(method)
        if not _marked(method, measured(stats, method.name), against):
            style |= {"marker": ""}
        entries.append(Line2D([], [], label=method.label, **style))
    plain = Method("", "", "", "muted", "o")
    for seen, label in ((True, "filled: trained width"), (False, "hollow: not trained")):
        entries.append(Line2D([], [], label=label, **_marker(plain, seen)))
    entries.append(Patch(color=light("muted"), alpha=0.25, label="worst to best seed"))
    return entries


def _marked(method: Method, points: list[Point], against: Against) -> bool:
    """Marks at every width would crowd thin lines and small panels."""
    many = len(points) > _FEW
    return not many or against == "params" or (method.strong and against == "width")


def _line(method: Method) -> dict[str, Any]:
    style: dict[str, Any] = {
        "color": light(method.colour),
        "linewidth": 2.4 if method.name == "neumeta" else 1.8 if method.strong else 1.5,
        "solid_capstyle": "round",
    }
    if method.dash:
        style |= {"dashes": method.dash}
    return style


def _marker(method: Method, seen: bool) -> dict[str, Any]:
    """Filled where the width was trained; hollow (a diamond for the main curve) where not."""
    colour = light(method.colour)
    size = 11 if method.name == "base" else 6 if method.strong else 4.5
    shape = "d" if method.name == "neumeta" and not seen else method.marker
    return {
        "linestyle": "none",
        "marker": shape,
        "markersize": size + (2 if shape == "d" and method.strong else 0),
        "markerfacecolor": colour if seen else light("paper"),
        "markeredgecolor": colour,
        "markeredgewidth": 1.4,
    }
