"""The report page: one HTML file that needs nothing else."""

import base64
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from neumeta.report import wording
from neumeta.report.ablations import ablations
from neumeta.report.accuracy import Drawing
from neumeta.report.budgets import budget
from neumeta.report.drops import DropTable, drop_table, signed
from neumeta.report.facts import Facts
from neumeta.report.methods import Method, describe, first_figure
from neumeta.report.palette import css_variables
from neumeta.report.rows import seeds, width_entry
from neumeta.report.sizes import base_params, base_width, kept, sizes
from neumeta.report.style import inline
from neumeta.report.summary import headline, key_figures
from neumeta.report.tables import Statistics, all_widths, measured, statistics


def render_page(facts: Facts, drawings: Mapping[str, tuple[Drawing, Drawing]], csv: str) -> str:
    """Write the page.

    Args:
        facts: The inputs of the report.
        drawings: Per figure name, wide and narrow; an empty picture is left out.
        csv: The result table, embedded as a download.

    Returns:
        HTML.
    """
    stats = statistics(facts.results)
    methods, digits = describe(stats), wording.digits_for(facts.dataset.test_size)
    full = base_width(stats, facts)
    first = {method.name for method in first_figure(stats)}
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
            if wide.svg
        },
        methods=[
            {
                "method": m,
                "swatch": Markup(_swatch(m)),
                "budget": budget(m.name, facts.params),
                "seeds": seeds(stats[m.name].values()),
            }
            for m in methods
        ],
        columns=first - {"base"} or first,
        base_note=_base_note(stats, digits),
        widths=[width_entry(stats, methods, w, digits, full) for w in all_widths(stats)],
        chosen=_default_place(stats),
        drops=_drops(drop_table(facts), first, digits, full),
        ablations=ablations(facts),
        sizes=sizes(facts, stats),
        noise=_noise(stats, facts),
        csv_link="data:text/csv;base64," + base64.b64encode(csv.encode()).decode(),
        example_width=_example_width(stats),
        base_params=base_params(stats),
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


def _drops(
    table: DropTable | None, first: set[str], digits: int, full: int | None
) -> dict[str, Any] | None:
    """The drops as text: main methods and the others apart, published numbers last."""
    if table is None:
        return None
    rows: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for method, drops in table.rows:
        numbers = [drop.n for drop in drops.values()]
        low, high = min(numbers), max(numbers)
        cells = [
            (signed(drops[w].mean, digits), signed(drops[w].std, digits) if drops[w].n > 1 else "")
            if w in drops
            else None
            for w in table.widths
        ]
        number = f"{low}" if low == high else f"{low} to {high}"
        row = {"swatch": Markup(_swatch(method)), "label": method.label, "n": number}
        ours = method.name == "neumeta"
        rows[method.name in first].append({**row, "ours": ours, "cells": cells})
    lost = [table.published_drop(width) for width in table.widths]
    return {
        "widths": [(w, kept(w, full).replace(".0", ""), w in table.seen) for w in table.widths],
        "base": wording.percent(table.base, digits),
        "main": rows[True],
        "further": rows[False],
        "published": [wording.DASH if d is None else signed(d, 2) for d in lost],
        "accuracies": [wording.percent(table.published.get(w), 2) for w in table.widths],
        "published_base": wording.percent(table.published_base, 2),
        "any_published": bool(table.published),
    }


def _places(drawing: Drawing) -> dict[str, Any]:
    return {
        "x": {str(width): place for width, place in drawing.x.items()},
        "top": drawing.top,
        "bottom": drawing.bottom,
    }


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


def _base_note(stats: Statistics, digits: int) -> str:
    """The base network has one width: a sentence instead of a column."""
    if not (base := measured(stats, "base")):
        return ""
    return f"The base network scores {wording.percent(base[-1].mean, digits)}. "


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
