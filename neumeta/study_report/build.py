"""Builds all files of the report of a study from its facts."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from neumeta.report import Report
from neumeta.report.summary import FORMAT
from neumeta.report.tables import DIGITS
from neumeta.study_report.facts import Spread, StudyFacts
from neumeta.study_report.figures import accuracy_figure, gap_figure, variation_figure
from neumeta.study_report.findings import headline
from neumeta.study_report.labels import LABELS, ORIGINAL, OURS
from neumeta.study_report.page import render_study


def build_study_report(facts: StudyFacts) -> Report:
    """Build a report; equal facts give equal bytes.

    Args:
        facts: The inputs.

    Returns:
        Tables, metrics, figures and the page; the summary is that of an experiment, with the
        curve of the INRs from our order.
    """
    drawings = {
        "variation": (variation_figure(facts.networks), variation_figure(facts.networks, True)),
        "gap": (gap_figure(facts.networks), gap_figure(facts.networks, True)),
        "accuracy": (accuracy_figure(facts.inrs), accuracy_figure(facts.inrs, True)),
    }
    tables = {
        "variation.csv": _variation_csv(facts),
        "groups.csv": _groups_csv(facts),
        "accuracy.csv": _accuracy_csv(facts),
    }
    files = {
        **tables,
        **{f"{name}.svg": wide for name, (wide, _) in drawings.items()},
        "metrics.json": _json(_metrics(facts)),
        "index.html": render_study(facts, drawings, tables),
    }
    return Report(files, _json(_summary(facts)))


def _variation_csv(facts: StudyFacts) -> str:
    columns = ("network", "strategy", "run", "variation", "variation_per_tensor")
    return _csv(
        columns,
        (
            (network.name, strategy, run, f"{value:.6f}", f"{value / network.tensors:.6f}")
            for network in facts.networks
            for strategy in LABELS
            for run, value in enumerate(network.variation[strategy])
        ),
    )


def _groups_csv(facts: StudyFacts) -> str:
    columns = (
        "network",
        "group",
        "channels",
        "strategy",
        "length",
        "lower_bound",
        "gap_of_worst_run",
    )
    return _csv(
        columns,
        (
            (
                network.name,
                group.name,
                group.channels,
                strategy,
                f"{group.length(strategy):.6f}",
                f"{group.bound:.6f}",
                "" if (gap := group.gap(strategy)) is None else f"{gap:.6f}",
            )
            for network in facts.networks
            for group in network.groups
            for strategy in LABELS
        ),
    )


def _accuracy_csv(facts: StudyFacts) -> str:
    columns = ("strategy", "seed", "width", "seen", "accuracy", "collapsed", "generated_variation")
    words = {True: "true", False: "false"}
    return _csv(
        columns,
        (
            (
                row.strategy,
                row.seed,
                row.width,
                words[row.seen],
                f"{row.accuracy:.6f}",
                words[row.collapsed],
                f"{row.variation:.6f}",
            )
            for row in facts.inrs.rows
        ),
    )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def _metrics(facts: StudyFacts) -> dict[str, Any]:
    inrs = facts.inrs
    return {
        "networks": {
            network.name: {
                "tv_original": round(Spread.of(network.variation[ORIGINAL]).mean, 4),
                "tv_ours": round(Spread.of(network.variation[OURS]).mean, 4),
                "change": round(network.relative(OURS).mean - 1, 6),
                "gap": None if (gap := network.gap(OURS)) is None else round(gap, 6),
            }
            for network in facts.networks
        },
        "inr_accuracy": {
            name: {str(w): round(inrs.accuracy(name, w).mean, DIGITS) for w in inrs.widths}
            for name in LABELS
        },
    }


def _summary(facts: StudyFacts) -> dict[str, Any]:
    """What the overview shows of any report: here the curve of the INRs from our order."""
    inrs, text = facts.inrs, facts.params.get("report") or {}

    def spot(width: int, accuracy: float) -> dict[str, Any]:
        return {"width": width, "accuracy": round(accuracy, DIGITS)}

    curve = [{**spot(w, inrs.accuracy(OURS, w).mean), "seen": inrs.seen(w)} for w in inrs.widths]
    return {
        "format": FORMAT,
        "experiment": facts.study,
        "title": str(text.get("title") or facts.study),
        "summary": str(text.get("summary") or ""),
        "headline": headline(facts),
        "dataset": facts.main.dataset,
        "test_size": inrs.examples if inrs.split == "test" else None,
        "seeds": inrs.accuracy(OURS, inrs.widths[0]).n,
        "base": spot(inrs.base_width, inrs.base),
        "worst_gap": None,
        "curves": {
            "neumeta": curve,
            "bypass": [{**spot(w, inrs.bypass), "seen": inrs.seen(w)} for w in inrs.widths],
        },
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
