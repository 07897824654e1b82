"""The page of one experiment, and all files beside it."""

from collections.abc import Iterator, Mapping

from neumeta.core.files import json_text
from neumeta.measure.measurements import measurements_csv, measurements_of
from neumeta.measure.results import results_csv
from neumeta.measure.statistics import sort_results
from neumeta.methods.metamorphosis.report import figures, findings, looks, tables
from neumeta.methods.metamorphosis.report.ablations import ablations, ablations_csv
from neumeta.methods.metamorphosis.report.budgets import budget
from neumeta.methods.metamorphosis.report.inputs import ReportInputs
from neumeta.methods.metamorphosis.report.looks import TEXTS
from neumeta.methods.metamorphosis.report.training import losses_figure
from neumeta.report import blocks, overview
from neumeta.report.blocks import Figure, Record, Section, Text
from neumeta.report.page import stage_times
from neumeta.report.texts import glossary
from neumeta.report.wording import change, count, duration, hundredths, percent, whole


def build_report(inputs: ReportInputs) -> blocks.Report:
    """Build all files of a report; equal inputs give equal bytes."""
    results, drawn = sort_results(inputs.results), _figures(inputs)
    csv = results_csv(results)
    curve = results.pivot_table("accuracy", "width", "method", aggfunc="mean")  # for DVC to draw
    long = measurements_of(results, inputs.experiment, inputs.tested or 0, inputs.stored)
    page = blocks.Page(
        inputs.experiment,
        inputs.text,
        findings.headline(inputs),
        drawn["width"],
        tables.key_table(inputs, looks.first_figure(inputs.methods)),
        findings.key_figures(inputs),
        list(_sections(inputs, drawn, csv)),
        TEXTS("footer"),
    )
    texts = {
        "accuracy_vs_width.csv": csv,
        "measurements.csv": measurements_csv(long),
        "ablations.csv": ablations_csv(inputs.ablations),
        "curve.csv": curve.round(overview.DIGITS).to_csv(lineterminator="\n"),
        "metrics.json": json_text(findings.metrics(inputs)),
        "accuracy_vs_width.svg": drawn["width"].drawing.svg,
        "accuracy_vs_params.svg": drawn["params"].drawing.svg,
        "accuracy_vs_cost.svg": drawn["cost"].drawing.svg,
        "drop_from_base.svg": drawn["drop"].drawing.svg,
        "variation.svg": drawn["variation"].drawing.svg,
        "losses.svg": drawn["losses"].drawing.svg,
    }
    return overview.finished(page, texts, **findings.facts(inputs))


def _figures(inputs: ReportInputs) -> dict[str, Figure]:
    stars = " Stars: published NeuMeta, below its own base." if inputs.published_drops else ""
    base, below = percent(inputs.base, inputs.digits), figures.below_figure(inputs)
    left = TEXTS("left", names=", ".join(m.label for m in below)) if below else ""
    machine = f", measured on {inputs.timing.machine}" if inputs.timing else ""
    drawn = (
        TEXTS.figure("width", figures.accuracy_figure(inputs, "width"), left=left),
        TEXTS.figure("params", figures.accuracy_figure(inputs, "params"), left=left),
        TEXTS.figure("cost", figures.cost_figure(inputs), left=left, machine=machine),
        TEXTS.figure("drop", figures.drop_figure(inputs), base=base, stars=stars),
        TEXTS.figure("peers", figures.peers_figure(inputs)),
        TEXTS.figure("variation", figures.variation_figure(inputs)),
        TEXTS.figure("losses", losses_figure(inputs)),
    )
    return {figure.name: figure for figure in drawn}


def _sections(inputs: ReportInputs, drawn: Mapping[str, Figure], csv: str) -> Iterator[Section]:
    first, parts = looks.first_figure(inputs.methods), list[blocks.Block]()
    further = [method for method in inputs.methods if method not in first]
    variation, runs, lost = inputs.variation, inputs.runs, inputs.of("neumeta")["mean"].iloc[:0]
    yield TEXTS.section("pick", tables.width_picker(inputs))
    if inputs.base is not None:
        lost = inputs.base - inputs.of("neumeta")["mean"]
    if len(lost):
        ends = [f"{hundredths(lost[h], inputs.digits)} at h = {h}" for h in lost.index[[-1, 0]]]
        table = tables.key_table(inputs, first, drops=True)
        yield TEXTS.section("drop", drawn["drop"], table, ends=" and ".join(ends))
    yield TEXTS.section("table", tables.all_widths(inputs, first, csv))
    if further:
        parts = [tables.key_table(inputs, further, drops=True)] if len(lost) else []
        yield TEXTS.section("peers", drawn["peers"], *parts, number=len(further))
    if ablated := ablations(inputs):
        titles = "; ".join(table.caption for table in ablated)
        yield TEXTS.section("ablations", Text([TEXTS("ablations")]), *ablated, titles=titles)
    meanings = glossary(inputs.methods, lambda name: budget(name, inputs.params))
    yield TEXTS.section("methods", meanings)
    yield TEXTS.section("terms", TEXTS.terms())
    yield TEXTS.section("use", *_use(inputs))
    what = f"the INR has {count(inputs.inr.params)} parameters" if inputs.inr else ""
    yield TEXTS.section("size", drawn["cost"], *tables.sizes_table(inputs), what=what)
    error, tolerance = variation.function_error, variation.tolerance
    text = TEXTS("variation", error=error, inputs=whole(variation.inputs), tolerance=tolerance)
    gained = change(variation.total_variation["before"].sum, variation.total_variation["after"].sum)
    parts = [drawn["variation"], tables.variation_table(inputs)]
    yield TEXTS.section("variation", Text([text]), *parts, change=gained)
    times = f"; all stages took {duration(sum(run.seconds for run in runs))}" if runs else ""
    parts = [drawn["losses"], *([stage_times(runs)] if runs else [])]
    yield TEXTS.section("training", *parts, times=times)
    sizes = [f"{split} {whole(size)}" for split, size in inputs.dataset.sizes.items()]
    entries = [
        ("Experiment", inputs.experiment),
        ("Data", ", ".join([inputs.dataset.name, *sizes])),
        ("Data hash (sha256)", inputs.dataset.content_sha256),
    ]
    yield TEXTS.section("record", Record(entries), *blocks.folded(inputs.params))


def _use(inputs: ReportInputs) -> list[Text]:
    inr, widths = inputs.inr, list(inputs.of("neumeta").index)
    widths = widths or sorted(inputs.stats.index.unique("width"))
    path, text = f"data/experiments/{inputs.experiment}/inr/seed-0.safetensors", TEXTS("use")
    if inr:
        path, more = inr.path, TEXTS("more") if inr.values > inputs.base_params else ""
        size = inr.stored[min(inr.stored)] / 1e6
        text += TEXTS("stored", values=count(inr.values), size=size, more=more)
    filled = {"path": path, "width": widths[3 * len(widths) // 4], "data": inputs.dataset.name}
    python, shell = (TEXTS(name, **filled) for name in ("python", "shell"))
    examples = {"From Python": python, "From the shell": shell}
    return [Text([text]), *(Text([code], "code", where) for where, code in examples.items())]
