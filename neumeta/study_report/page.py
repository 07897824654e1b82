"""The page of a study: one HTML file that needs nothing else."""

import base64
from collections.abc import Mapping
from importlib import resources
from typing import Any

from markupsafe import Markup

from neumeta.report.page import template
from neumeta.report.style import inline
from neumeta.report.wording import DASH, digits_for, percent
from neumeta.study_report.facts import NetworkOrders, Spread, StudyFacts
from neumeta.study_report.findings import findings, headline, key_figures
from neumeta.study_report.labels import LABELS, ORIGINAL, OURS
from neumeta.study_report.numbers import at_most, decimal, signed, spread_of

_ORIGINS = {"train": "trained here", "url": "public weights", "file": "weights of a file"}


def render_study(
    facts: StudyFacts, drawings: Mapping[str, tuple[str, str]], tables: Mapping[str, str]
) -> str:
    """Write the page.

    Args:
        facts: The inputs of the report.
        drawings: Per figure name, wide and narrow, standalone SVG.
        tables: CSV texts by file name, embedded as downloads.

    Returns:
        HTML.
    """
    text = facts.params.get("report") or {}
    # The environment of the other reports: their filters, style sheet and escaping.
    environment = template("overview.html.j2").environment
    own = resources.files("neumeta.study_report").joinpath("study.html.j2")
    return environment.from_string(own.read_text(encoding="utf-8")).render(
        facts=facts,
        title=text.get("title") or facts.study,
        lead=text.get("summary") or "",
        headline=headline(facts),
        key_figures=key_figures(facts),
        findings=findings(facts),
        figures={
            name: {
                "wide": Markup(inline(wide, f"{name}-w")),
                "narrow": Markup(inline(narrow, f"{name}-n")),
            }
            for name, (wide, narrow) in drawings.items()
        },
        labels=LABELS,
        networks=[_network(network) for network in facts.networks],
        strategies=[_strategy(facts, name) for name in LABELS],
        links={
            name: "data:text/csv;base64," + base64.b64encode(csv.encode()).decode()
            for name, csv in tables.items()
        },
        runs=len(next(iter(facts.main.variation.values()))),
    )


def _network(network: NetworkOrders) -> dict[str, Any]:
    """One row of the table of networks, and its table of groups."""
    return {
        "name": network.name,
        "accuracy": percent(network.accuracy, digits_for(network.test_size)),
        "test_size": network.test_size,
        "origin": _ORIGINS.get(network.origin, network.origin),
        "parameters": network.parameters,
        "tensors": network.tensors,
        "original": decimal(Spread.of(network.variation[ORIGINAL]).mean),
        "per_tensor": decimal(Spread.of(network.variation[ORIGINAL]).mean / network.tensors),
        "changes": [_change(network.relative(name)) for name in LABELS if name != ORIGINAL],
        "gap": at_most(network.gap(OURS)),
        "groups": [
            {
                "name": group.name,
                "channels": group.channels,
                "lengths": [decimal(group.length(name)) for name in LABELS],
                "bound": decimal(group.bound),
                "gap": at_most(group.gap(OURS)),
            }
            for group in network.groups
        ],
        "pinned": network.pinned,
        "error": f"{network.error:.0e}",
        "images": network.images,
    }


def _strategy(facts: StudyFacts, name: str) -> dict[str, Any]:
    """One row of the supplement's Table 1."""
    main, inrs = facts.main, facts.inrs
    spread, digits = Spread.of(main.variation[name]), digits_for(inrs.examples)
    told = facts.published.get(name)
    cells = []
    for width in inrs.widths[::-1]:
        value = inrs.accuracy(name, width)
        delta = inrs.difference(name, ORIGINAL, width)
        cells.append(
            {
                "accuracy": f"{100 * value.mean:.{digits}f}",
                "spread": spread_of(value.std, digits),
                "delta": "" if name == ORIGINAL else signed(delta.mean, digits),
                "apart": delta.told_apart,
            }
        )
    return {
        "label": LABELS[name].text,
        "dead": inrs.collapsed(name),
        "ours": name == OURS,
        "variation": decimal(spread.mean),
        "spread": decimal(spread.std) if spread.std > 0 else "",
        "per_tensor": decimal(spread.mean / main.tensors),
        "change": _change(main.relative(name))[0] if name != ORIGINAL else "",
        "generated": decimal(inrs.variation(name).mean),
        "cells": cells,
        "published": (
            (decimal(told["variation"]), f"{told['accuracy']:.2f}") if told else (DASH, DASH)
        ),
    }


def _change(value: Spread) -> tuple[str, str]:
    """Change against the original order and its spread, hundredths."""
    return signed(value.mean - 1, 2), spread_of(value.std, 2)
