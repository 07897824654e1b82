"""Text of the artifacts: pure functions from plans, results and report files to tables."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from flows.errors import one_line
from flows.plan import Plan
from flows.stage_task import StageResult

CURVE_COLUMNS = {"method", "width", "seen", "accuracy"}


def artifact_key(*parts: str) -> str:
    """Make a key that Prefect accepts, of the characters a-z, 0-9 and `-`.

    Args:
        *parts: words to join.

    Returns:
        The key.
    """
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def plan_rows(plan: Plan) -> list[dict[str, Any]]:
    """Make the rows of the plan's table.

    Args:
        plan: a plan.

    Returns:
        One row per stage: wave, stage, status, why.
    """
    return [
        {"wave": s.wave, "stage": s.name, "status": s.status, "why": s.why} for s in plan.stages
    ]


def result_rows(results: Iterable[StageResult]) -> list[dict[str, Any]]:
    """Make the rows of the table of results.

    Args:
        results: what became of the stages.

    Returns:
        One row per stage: stage, outcome, seconds, note.
    """
    return [
        {"stage": r.name, "outcome": r.outcome, "seconds": round(r.seconds, 1), "note": r.note}
        for r in results
    ]


def summary(results: Sequence[StageResult]) -> str:
    """Say in one line how a run ended.

    Args:
        results: what became of the stages.

    Returns:
        For example `3 ran, 4 cached`, or with failures
        `failed: train@a; not started: sweep@a, report@a (1 ran, 2 cached)`.
    """
    by_outcome: dict[str, list[str]] = {}
    for result in results:
        by_outcome.setdefault(result.outcome, []).append(result.name)
    counts = ", ".join(f"{len(by_outcome[o])} {o}" for o in ("ran", "cached") if o in by_outcome)
    counts = counts or "nothing ran"
    if "failed" not in by_outcome:
        return counts
    text = "failed: " + ", ".join(by_outcome["failed"])
    if "skipped" in by_outcome:
        text += "; not started: " + ", ".join(by_outcome["skipped"])
    return f"{text} ({counts})"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a markdown table.

    Args:
        header: names of the columns.
        rows: cells; None becomes an empty cell.

    Returns:
        The table, without a final newline.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else one_line(str(value) or " ")
    return text.replace("|", "\\|")


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested JSON.

    Args:
        value: what `json.loads` returns.
        prefix: the dotted name of the value.

    Returns:
        Dotted name to number, text, truth value or None, in the order of the file.
    """
    if isinstance(value, Mapping):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for name, inner in pairs:
        flat |= flatten(inner, f"{prefix}.{name}" if prefix else str(name))
    return flat


def curve_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Write accuracy against width, one column per method, as markdown.

    Args:
        rows: the lines of accuracy_vs_width.csv; accuracy is a fraction of 1.

    Returns:
        The table: per cell the mean over seeds in percent, with the number of seeds where it is
        more than one. Widths the network was not trained at carry a `*`.
    """
    cells: dict[tuple[int, str], list[float]] = {}
    seen: dict[int, bool] = {}
    for row in rows:
        width = int(row["width"])
        cells.setdefault((width, row["method"]), []).append(100 * float(row["accuracy"]))
        seen[width] = seen.get(width, False) or row["seen"].strip().lower() == "true"
    methods = list(dict.fromkeys(row["method"] for row in rows))
    body: list[list[Any]] = []
    for width in sorted(seen):
        line: list[Any] = [f"{width}" if seen[width] else f"{width} *"]
        for method in methods:
            values = cells.get((width, method))
            count = f" (n={len(values)})" if values and len(values) > 1 else ""
            line.append(f"{mean(values):.2f}{count}" if values else None)
        body.append(line)
    return markdown_table(["width", *methods], body)


def report_markdown(experiment: str, metrics: Path, curve: Path | None = None) -> str:
    """Write the report of an experiment.

    Args:
        experiment: its name.
        metrics: the JSON file of its metrics, any keys.
        curve: the CSV file accuracy against width, if it has one.

    Returns:
        Markdown: the curve as a table, then all metrics. A file that is missing or unreadable is
        named in one line in its place.
    """
    parts = [f"# {experiment}"]
    if curve is not None:
        parts += ["## Accuracy (%) by width", _curve_text(curve)]
    return "\n\n".join([*parts, "## Metrics", _metrics_text(metrics)]) + "\n"


def _curve_text(path: Path) -> str:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = sorted(CURVE_COLUMNS - {*(reader.fieldnames or ())})
            rows = list(reader)
        if missing:
            return f"{path.name} has no column {', '.join(missing)}."
        return curve_table(rows) + "\n\n`*` = not a width the network was trained at."
    except (OSError, ValueError, AttributeError, TypeError) as error:
        return f"{path.name} cannot be read: {one_line(error)}"


def _metrics_text(path: Path) -> str:
    try:
        flat = flatten(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        return f"{path.name} cannot be read: {one_line(error)}"
    return markdown_table(["metric", "value"], list(flat.items()))
