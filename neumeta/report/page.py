"""Pages: one HTML file each that needs nothing else."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from neumeta.core.files import atomic_write_text
from neumeta.core.records import StageRun
from neumeta.report.blocks import Page, Report, Row, Table
from neumeta.report.figures import inline
from neumeta.report.palette import css_variables
from neumeta.report.texts import TEXTS
from neumeta.report.wording import DASH, duration


def render_page(page: Page) -> str:
    """Write a page as HTML; names of its sections and figures must differ."""
    return template("page.html.j2").render(page=page, script=Markup(_read_text("page.js")))


def write_report(report: Report, folder: str | Path, summary: str | Path) -> None:
    """Write the files of a report into its folder, and its summary, each of them atomically."""
    for name, text in report.files.items():
        atomic_write_text(Path(folder) / name, text)
    atomic_write_text(summary, report.summary)


def stage_times(runs: Sequence[StageRun]) -> Table:
    """List by which code every stage was made, how long it took, and on what; and sum the times.

    All of it stands in the records of the stages, so that a page tells of the runs that made its
    results, and not of the day on which it was written.
    """
    columns = ("Stage", "Time", "Threads", "Device", "Python", "torch", "Code")
    rows, codes = [], [_code(run) for run in runs]
    for run, code in zip(runs, codes, strict=True):
        threads = f"{run.threads} of {run.cores}" if run.threads and run.cores else run.threads
        facts = (threads, run.device, run.python, run.torch, code)
        rows.append(Row([run.stage, duration(run.seconds), *(str(fact or DASH) for fact in facts)]))
    total = Row(["Sum", duration(sum(run.seconds for run in runs)), *[""] * 5])
    dirty = TEXTS("dirty") if any(code.endswith("-dirty") for code in codes) else ""
    return Table("Stage times", columns, rows, TEXTS("times") + dirty, foot=[total])


def _code(run: StageRun) -> str:
    return run.revision or TEXTS("unversioned" if run.named else "unrecorded")


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
