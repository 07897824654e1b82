"""The page of a study, and all files beside it."""

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

import pandas as pd

from neumeta.core.files import json_text
from neumeta.measure.statistics import Spread
from neumeta.methods.metamorphosis.orders_report import figures, findings
from neumeta.methods.metamorphosis.orders_report.findings import at_most
from neumeta.methods.metamorphosis.orders_report.inputs import NetworkOrders, StudyInputs
from neumeta.methods.metamorphosis.orders_report.looks import ORIGINAL, OURS, STRATEGIES, TEXTS
from neumeta.methods.metamorphosis.report.budgets import inr_budget
from neumeta.report import blocks, overview
from neumeta.report.blocks import Figure, Record, Row, Section, Table, Text, plus_minus, small
from neumeta.report.overview import rounded
from neumeta.report.page import stage_times
from neumeta.report.texts import glossary
from neumeta.report.wording import DASH, SPLITS, digits_for, hundredths, percent, several, whole

_ORIGINS = {"train": "trained here", "url": "public weights", "file": "weights of a file"}
_VARIATION = ["network", "strategy", "run", "variation", "variation_per_tensor"]
_GROUPS = ["network", "group", "channels", "strategy", "length", "lower_bound", "gap_of_worst_run"]
_OTHERS = [name for name in STRATEGIES if name != ORIGINAL]


def build_orders_report(inputs: StudyInputs) -> blocks.Report:
    """Build all files of a report, with the summary of an experiment; equal inputs, equal bytes."""
    drawn, tables = _figures(inputs), _csv(inputs)
    page = blocks.Page(
        inputs.study,
        inputs.text,
        findings.headline(inputs),
        drawn["variation"],
        _orders(inputs),
        findings.key_figures(inputs),
        list(_sections(inputs, drawn, tables)),
    )
    svg = {f"{name}.svg": figure.drawing.svg for name, figure in drawn.items()}
    files = {**tables, **svg, "metrics.json": json_text(_metrics(inputs))}
    return overview.finished(page, files, **_facts(inputs))


def _csv(inputs: StudyInputs) -> dict[str, str]:
    variation, groups = [], []
    for network in inputs.networks:
        runs = [(name, *run) for name in STRATEGIES for run in enumerate(network.variation(name))]
        variation += [(network.network, *run, run[-1] / network.tensors) for run in runs]
        for group in network.groups:
            head, bound = (network.network, group.name, group.channels), group.lower_bound
            lengths = [(name, fmean(group.lengths[name])) for name in STRATEGIES]
            groups += [(*head, *length, bound, group.gap(length[0])) for length in lengths]
    accuracy = inputs.inrs.frame.rename(columns={"variation": "generated_variation"})
    flags = {c: accuracy[c].map({True: "true", False: "false"}) for c in ("seen", "collapsed")}
    frames = {
        "variation.csv": pd.DataFrame(variation, columns=_VARIATION),
        "groups.csv": pd.DataFrame(groups, columns=_GROUPS),
        "accuracy.csv": accuracy.assign(**flags),
    }
    style: dict[str, Any] = {"index": False, "float_format": "%.6f", "lineterminator": "\n"}
    return {name: frame.to_csv(**style) for name, frame in frames.items()}


def _metrics(inputs: StudyInputs) -> dict[str, Any]:
    networks, inrs = {}, inputs.inrs
    for network in inputs.networks:
        gap, change = network.gap(OURS), rounded(network.relative(OURS).mean - 1)
        sums = {f"tv_{name}": round(fmean(network.variation(name)), 4) for name in (ORIGINAL, OURS)}
        gaps = {"gap": None if gap is None else rounded(gap)}
        networks[network.network] = {**sums, **gaps, "change": change}
    means = {n: {w: rounded(inrs.accuracy(n, w).mean) for w in inrs.seen} for n in STRATEGIES}
    return {"networks": networks, "inr_accuracy": means}


def _facts(inputs: StudyInputs) -> dict[str, Any]:
    """What the overview shows beside the page's title and headline."""
    inrs, base = inputs.inrs, rounded(inputs.inrs.controls.base)
    width = min((w for w, seen in inrs.seen.items() if seen), default=min(inrs.seen))
    rival, best = findings.best_other(inputs, width)
    label = f"order: {STRATEGIES[rival].label}"
    ours = [(width, inrs.accuracy(OURS, width).mean, seen) for width, seen in inrs.seen.items()]
    floor = [(width, inrs.controls.bypass, seen) for width, seen in inrs.seen.items()]
    return {
        "dataset": inputs.main.dataset,
        "test_size": inrs.examples if inrs.split == "test" else None,
        "split": SPLITS[inrs.split],
        "examples": inrs.examples if inrs.split != "test" else None,
        "seeds": inrs.accuracy(OURS, width).n,
        "base": overview.Spot(width=inrs.base_width, accuracy=base),
        "control": overview.Spot(width=width, accuracy=rounded(best), label=label),
        "worst_gap": findings.worst_gap(inputs),
        "curves": {"neumeta": overview.curve(ours), "bypass": overview.curve(floor)},
        "looks": tuple(TEXTS.looks("curves").values()),
    }


def _figures(inputs: StudyInputs) -> dict[str, Figure]:
    inrs, runs = inputs.inrs, len(inputs.main.variation(OURS))
    seeds, bypass = inrs.accuracy(OURS, min(inrs.seen)).n, percent(inrs.controls.bypass, 2)
    facts = {"seeds": seeds, "examples": findings.judged(inputs), "bypass": bypass}
    drawn = (
        TEXTS.figure("variation", figures.variation_figure(inputs.networks), runs=runs),
        TEXTS.figure("gap", figures.gap_figure(inputs.networks), runs=runs),
        TEXTS.figure("accuracy", figures.accuracy_figure(inrs), **facts),
    )
    return {figure.name: figure for figure in drawn}


def _sections(
    inputs: StudyInputs, drawn: Mapping[str, Figure], tables: Mapping[str, str]
) -> Iterator[Section]:
    inrs, main, networks = inputs.inrs, inputs.main, inputs.networks

    def linked(text: str, name: str, words: str) -> str:
        return blocks.with_download(text, f"{inputs.study}-{name}", tables[name], words)

    yield TEXTS.section("findings", Text(findings.findings(inputs), "bullets"))
    note = linked(TEXTS("networks"), "variation.csv", "Download every run as CSV")
    yield TEXTS.section("networks", _networks(inputs, note), number=len(networks))
    yield TEXTS.section("gap", drawn["gap"], gap=at_most(main.gap(OURS)), network=main.network)
    table = _orders(inputs, whole_table=True)
    table = table._replace(note=linked(table.note, "accuracy.csv", "Download every seed as CSV"))
    yield TEXTS.section("inrs", drawn["accuracy"], table)
    yield TEXTS.section("strategies", glossary(STRATEGIES.values()))
    yield TEXTS.section("terms", TEXTS.terms())
    text = Text([linked(TEXTS("groups"), "groups.csv", "Download as CSV")])
    number = sum(len(network.groups) for network in networks)
    yield TEXTS.section("groups", text, *map(_groups, networks), number=number)
    entries = [("Study", inputs.study), ("Experiment of the INRs", inrs.experiment)]
    asked = {name: part for run in inputs.runs for name, part in run.params.items()}
    params = blocks.folded(asked | {"report": inputs.text})
    yield TEXTS.section("record", Record(entries), stage_times(inputs.runs), *params)


def _signed(ratio: float, std: float = 0.0) -> str:
    """Write a ratio as a change in hundredths, with a spread that is not exactly zero."""
    spread = f"±{hundredths(std, 2)}" if std > 1e-12 else ""
    return small(hundredths(ratio - 1, 2, plus=True), spread)


def _networks(inputs: StudyInputs, note: str) -> Table:
    rows = []
    for network in inputs.networks:
        original = fmean(network.variation(ORIGINAL))
        accuracy = percent(network.accuracy, digits_for(network.test_size))
        name = small(network.network, _ORIGINS.get(network.origin, network.origin))
        cells = [name, small(accuracy, whole(network.test_size)), whole(original, 2)]
        cells += [whole(original / network.tensors, 2)]
        cells += [_signed(*network.relative(other)[:2]) for other in _OTHERS]
        rows.append(Row([*cells, small(whole(network.parameters), str(network.tensors))]))
    originals = [small("Original", what) for what in ("undivided", "per tensor")]
    changes = [small(STRATEGIES[name].label, "change, %") for name in _OTHERS]
    heads = ["Network", small("Accuracy", "test examples"), *originals, *changes]
    heads.append(small("Parameters", "tensors"))
    return Table("Total variation of every network", heads, rows, note)


def _orders(inputs: StudyInputs, whole_table: bool = False) -> Table:
    """The supplement's Table 1; in short without what few ask for."""
    main, inrs, told, rows = inputs.main, inputs.inrs, inputs.published, []
    digits, widths = digits_for(inrs.examples), sorted(inrs.seen, reverse=True)
    made = inrs.frame.groupby(["strategy", "seed"])["variation"].last()
    for name, look in STRATEGIES.items():
        spread, dead = Spread.of(main.variation(name)), inrs.collapsed(name)
        std = f"±{whole(spread.std, 2)}" if spread.std > 0 else ""
        change = "" if name == ORIGINAL else f"{_signed(main.relative(name).mean)} %"
        cells = [small(look.label, f"dead generator in {several(dead, 'seed')}" if dead else "")]
        cells.append(small(whole(spread.mean, 2), std, change))
        for width in widths:
            value, delta = inrs.accuracy(name, width), inrs.difference(name, ORIGINAL, width)
            text = hundredths(delta.mean, digits, plus=True)
            text = "" if name == ORIGINAL else text if delta.told_apart else f"({text})"
            cells.append(plus_minus(value.mean, value.std, digits, text))
        if told and whole_table:
            own = told.get(name)
            cells += [whole(own["variation"], 2), f"{own['accuracy']:.2f}"] if own else [DASH] * 2
        if whole_table:
            cells += [whole(spread.mean / main.tensors, 2), whole(fmean(made[name]), 2)]
        rows.append(Row(cells, "reference" if name == OURS else ""))
    heads = ["Order", small("Total variation", f"{main.network}, undivided")]
    heads += [small(f"h = {w}", "accuracy, %" if inrs.seen[w] else "not trained") for w in widths]
    note = TEXTS("orders", base=percent(inrs.controls.base, 2), examples=findings.judged(inputs))
    if whole_table:
        source = inputs.text.get("published_as") or "source not named"
        if told:
            heads += [small("Published", what) for what in ("total variation", "accuracy, %")]
        heads += [small("Total variation", what) for what in ("per tensor", "of the INR's tensors")]
        note += TEXTS("inrs", budget=inr_budget(inrs.train) or "the same budget")
        note += TEXTS("told", source=source) if told else ""
    caption = "Total variation and accuracy by order"
    return Table(caption, heads, rows, note, compact=not whole_table)


def _groups(network: NetworkOrders) -> Section:
    rows = []
    for group in network.groups:
        lengths = [whole(fmean(group.lengths[name]), 2) for name in STRATEGIES]
        bound = [whole(group.lower_bound, 2), at_most(group.gap(OURS))]
        rows.append(Row([group.name, str(group.channels), *lengths, *bound]))
    heads = ["Group", "Channels", *(look.label for look in STRATEGIES.values()), "Lower bound"]
    heads.append(small("Ours above it", "worst run"))
    reasons = ", ".join(f"“{reason}”" for reason in network.pinned)
    error = max(run.function_error for run in network.runs)
    note = TEXTS("kept", images=network.images, error=error, reasons=reasons)
    told = f"all paths of our order at most {at_most(network.gap(OURS))} above the bound"
    hint = f"{several(len(network.groups), 'group')}, {told}"
    table = Table(f"Groups of {network.network}", heads, rows, note)
    return Section(f"groups-{network.network}", network.network, hint, [table])
