"""The report page: one HTML file that needs nothing else."""

import base64
import math
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from neumeta.report import wording
from neumeta.report.accuracy import Drawing
from neumeta.report.facts import Facts
from neumeta.report.methods import Method, describe
from neumeta.report.palette import css_variables
from neumeta.report.style import inline
from neumeta.report.summary import headline, key_figures
from neumeta.report.tables import (
    Point,
    Statistics,
    all_points,
    all_widths,
    measured,
    statistics,
)


def render_page(facts: Facts, drawings: Mapping[str, tuple[Drawing, Drawing]], csv: str) -> str:
    """Write the page.

    Args:
        facts: The inputs of the report.
        drawings: Per figure name (`width`, `params`, `variation`, `losses`), wide and narrow.
        csv: The result table, embedded as a download.

    Returns:
        HTML.
    """
    stats = statistics(facts.results)
    methods = describe(stats)
    digits = wording.digits_for(facts.dataset.test_size)
    widths = [_width_entry(stats, methods, width, digits) for width in all_widths(stats)]
    text = facts.params.get("report") or {}
    return template("page.html.j2").render(
        facts=facts,
        title=text.get("title") or facts.experiment,
        lead=text.get("summary") or "",
        headline=headline(facts),
        key_figures=key_figures(facts),
        figures={
            name: {
                "wide": Markup(inline(wide.svg, f"{name}-w")),
                "narrow": Markup(inline(narrow.svg, f"{name}-n")),
                "places": [_places(wide), _places(narrow)],
            }
            for name, (wide, narrow) in drawings.items()
        },
        methods=[
            {"method": m, "swatch": Markup(_swatch(m)), "seeds": _seeds(stats[m.name].values())}
            for m in methods
        ],
        widths=widths,
        chosen=_default_place(stats),
        noise=_noise(stats, facts),
        csv_link="data:text/csv;base64," + base64.b64encode(csv.encode()).decode(),
        example_width=_example_width(stats),
        base_params=_base_params(stats),
        total_seconds=sum(run.seconds for run in facts.runs),
        script=Markup(read_text("page.js")),
    )


def template(name: str) -> jinja2.Template:
    """Load a template of this package; everything it prints is escaped.

    Args:
        name: File name.

    Returns:
        The template, with the wording functions as filters and the style sheet as `css`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for function in (wording.percent, wording.count, wording.whole, wording.duration):
        environment.filters[function.__name__] = function
    environment.globals["change"] = wording.change
    environment.globals["css"] = Markup(
        f":root {{ color-scheme: light dark; {css_variables('light')} }}\n"
        "@media screen and (prefers-color-scheme: dark) "
        f"{{ :root {{ {css_variables('dark')} }} }}\n" + read_text("style.css")
    )
    return environment.get_template(name)


def read_text(name: str) -> str:
    """Read a file that comes with this package.

    Args:
        name: File name.

    Returns:
        Its text.
    """
    return resources.files("neumeta.report").joinpath(name).read_text(encoding="utf-8")


def _width_entry(
    stats: Statistics, methods: list[Method], width: int, digits: int
) -> dict[str, Any]:
    """All methods at one width, as text: the page's table and its picker both show this."""
    here = {name: points[width] for name, points in stats.items() if width in points}
    first = next(iter(here.values()))
    full = _base_params(stats)
    return {
        "width": width,
        "seen": any(point.seen for point in here.values()),
        "params": wording.whole(first.params),
        "macs": wording.whole(first.macs),
        "params_value": _plain(first.params),
        "macs_value": _plain(first.macs),
        "share": wording.percent(first.params / full if full > 0 else None),
        "cells": [
            _cell(method, here[method.name], first, digits)
            if method.name in here
            else _missing(method, list(stats[method.name]))
            for method in methods
        ],
    }


def _cell(method: Method, point: Point, first: Point, digits: int) -> dict[str, Any]:
    spread = f"{100 * point.std:.{digits}f}" if math.isfinite(point.std) else ""
    low, high = f"{100 * point.low:.{digits}f}", f"{100 * point.high:.{digits}f}"
    return {
        "method": method.name,
        "label": method.label,
        "accuracy": wording.percent(point.mean, digits),
        "value": _plain(point.mean),
        "spread": spread,
        "range": f"{low} to {high}" if point.n > 1 else "",
        "n": point.n,
        "loss": f"{point.loss:.3f}" if math.isfinite(point.loss) else wording.DASH,
        "params": wording.whole(point.params),
        "macs": wording.whole(point.macs),
        "other_params": point.params != first.params,
        "note": "" if point.n else "no finite accuracy",
    }


def _missing(method: Method, widths: list[int]) -> dict[str, Any]:
    listed = ", ".join(map(str, widths[:8])) + (", …" if len(widths) > 8 else "")
    dashes = dict.fromkeys(("accuracy", "loss", "params", "macs"), wording.DASH)
    return {
        **dashes,
        "method": method.name,
        "label": method.label,
        "value": None,
        "spread": "",
        "range": "",
        "n": 0,
        "other_params": False,
        "note": f"only at {'width' if len(widths) == 1 else 'widths'} {listed}",
    }


def _base_params(stats: Statistics) -> float:
    """Parameters of the base network, or of the largest network where there is none."""
    base = list(stats.get("base", {}).values()) or all_points(stats)
    return max(point.params for point in base)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _places(drawing: Drawing) -> dict[str, Any]:
    return {
        "x": {str(width): place for width, place in drawing.x.items()},
        "top": drawing.top,
        "bottom": drawing.bottom,
    }


def _seeds(points: Iterable[Point]) -> str:
    numbers = [point.n for point in points]
    low, high = min(numbers), max(numbers)
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def _noise(stats: Statistics, facts: Facts) -> str:
    """Say how far a measured accuracy may be off by the choice of test examples alone."""
    size = facts.dataset.test_size
    means = [point.mean for name in stats for point in measured(stats, name)]
    if not size or not means:
        return ""
    error = wording.standard_error(max(means), size)
    return (
        f"The test set holds {wording.whole(size)} examples: a measured "
        f"{wording.percent(max(means), wording.digits_for(size))} has a binomial standard error "
        f"of {100 * error:.2f} points."
    )


def _default_place(stats: Statistics) -> int:
    """Start in the middle of the seen widths."""
    widths, seen = all_widths(stats), all_widths(stats, seen_only=True)
    inner = seen or widths
    return widths.index(inner[len(inner) // 2])


def _example_width(stats: Statistics) -> int:
    widths = list(stats.get("neumeta", {})) or all_widths(stats)
    return widths[3 * len(widths) // 4]


def _swatch(method: Method) -> str:
    """A short piece of the method's line, for text beside the figure."""
    dash = " ".join(f"{1.5 * length:g}" for length in method.dash)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        '<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true" focusable="false">'
        f'<line x1="1" y1="5" x2="27" y2="5" stroke="var(--{method.colour})" '
        f'stroke-width="{3 if method.strong else 2}"{dashes}></line></svg>'
    )
