"""Pages: one HTML file each that needs nothing else."""

from collections.abc import Sequence
from importlib import resources

import jinja2
from markupsafe import Markup

from neumeta.core.records import StageRun
from neumeta.report.blocks import Page, Row, Table
from neumeta.report.figures import inline
from neumeta.report.palette import css_variables
from neumeta.report.wording import DASH, duration


def render_page(page: Page) -> str:
    """Write a page as HTML; names of its sections and figures must differ."""
    return template("page.html.j2").render(page=page, script=Markup(_read_text("page.js")))


def stage_times(runs: Sequence[StageRun]) -> Table:
    """List how long every stage took, and on what; it ends with the sum of the times."""
    columns = ("Stage", "Time", "Threads", "Device", "Python", "torch", "Code")
    rows = []
    for run in runs:
        facts = (run.threads, run.device, run.python, run.torch, run.revision)
        rows.append(Row([run.stage, duration(run.seconds), *(str(fact or DASH) for fact in facts)]))
    total = Row(["Sum", duration(sum(run.seconds for run in runs)), *[""] * 5])
    return Table("Stage times", columns, rows, foot=[total])


def template(name: str) -> jinja2.Template:
    """Load a template of this package; everything it prints is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["inline"] = lambda svg, prefix: Markup(inline(svg, prefix))
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.globals["css"] = Markup(
        f":root {{ color-scheme: light dark; {css_variables(dark=False)} }}\n"
        "@media screen and (prefers-color-scheme: dark) "
        f"{{ :root {{ {css_variables(dark=True)} }} }}\n" + _read_text("page.css")
    )
    return environment.get_template(name)


def _read_text(name: str) -> str:
    return resources.files("neumeta.report").joinpath(name).read_text(encoding="utf-8")
