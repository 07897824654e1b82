"""Builds all files of one report from its facts."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from neumeta.measure.results import results_csv
from neumeta.report.ablations import ablations_csv
from neumeta.report.accuracy import Drawing, accuracy_figure
from neumeta.report.drops import drop_figure
from neumeta.report.facts import Facts
from neumeta.report.losses import losses_figure
from neumeta.report.page import render_page
from neumeta.report.peers import peers_figure
from neumeta.report.summary import summary
from neumeta.report.tables import curve_csv, metrics, sort_results, statistics
from neumeta.report.variation import variation_figure


class Report(NamedTuple):
    """The files of one report.

    Attributes:
        files: Text by file name; they lie side by side.
        summary: JSON text for the overview of all experiments.
    """

    files: dict[str, str]
    summary: str


def build_report(facts: Facts) -> Report:
    """Build a report; equal facts give equal bytes.

    Args:
        facts: The inputs; the result table holds at least one row.

    Returns:
        The result table, metrics, figures and the page.
    """
    stats = statistics(facts.results)
    drawings = {
        "width": (accuracy_figure(stats, "width"), accuracy_figure(stats, "width", narrow=True)),
        "params": (accuracy_figure(stats, "params"), accuracy_figure(stats, "params", narrow=True)),
        "drop": _plain(drop_figure, facts),
        "peers": _plain(peers_figure, stats),
        "variation": _plain(variation_figure, facts.variation),
        "losses": _plain(losses_figure, facts.base_history, facts.train_history),
    }
    csv = results_csv(sort_results(facts.results))
    files = {
        "accuracy_vs_width.csv": csv,
        "ablations.csv": ablations_csv(facts.ablations),
        "curve.csv": curve_csv(facts.results),
        "metrics.json": _json(metrics(facts)),
        "accuracy_vs_width.svg": drawings["width"][0].svg,
        "accuracy_vs_params.svg": drawings["params"][0].svg,
        "drop_from_base.svg": drawings["drop"][0].svg,
        "variation.svg": drawings["variation"][0].svg,
        "losses.svg": drawings["losses"][0].svg,
        "index.html": render_page(facts, drawings, csv),
    }
    return Report(files, _json(summary(facts)))


def _plain(draw: Callable[..., str], *data: Any) -> tuple[Drawing, Drawing]:
    return Drawing(draw(*data)), Drawing(draw(*data, narrow=True))


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
