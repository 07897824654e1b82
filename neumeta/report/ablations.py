"""The tables of the ablations, as text: mean and spread per row and width."""

import copy
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from neumeta.report.budgets import inr_budget
from neumeta.report.facts import Facts
from neumeta.report.reading import ABLATION_COLUMNS
from neumeta.report.wording import DASH, MINUS, digits_for, whole

_SPLITS = {"val": "validation", "test": "test"}


class Cell(NamedTuple):
    """One row at one width.

    Attributes:
        accuracy: Mean over seeds, per cent.
        spread: Sample standard deviation, points; empty for one seed.
        delta: Difference from the reference row, points; empty where there is none.
        seen: Whether that row was trained at this width.
    """

    accuracy: str
    spread: str
    delta: str
    seen: bool


class Row(NamedTuple):
    """One variant.

    Attributes:
        name: Its name.
        note: What a reader must know: dead seeds, another budget than the table's.
        seeds: Number of seeds.
        size: Parameters of the INR.
        cells: One per width of the table; None where it was not measured.
        published: Published accuracy, per cent; a dash where there is none.
        reference: Whether the others are compared with it.
    """

    name: str
    note: str
    seeds: int
    size: str
    cells: list[Cell | None]
    published: str
    reference: bool


class Ablation(NamedTuple):
    """One table.

    Attributes:
        name: Its name, as `--table` takes it.
        title: Its heading.
        caption: Budget, seeds and split, in sentences.
        widths: Columns, and whether any row was trained there.
        rows: Its rows.
        published: Whether a row carries a published number.
        published_width: Width of those numbers; None where it is not known.
    """

    name: str
    title: str
    caption: str
    widths: list[tuple[int, bool]]
    rows: list[Row]
    published: bool
    published_width: int | None


def ablations(facts: Facts) -> list[Ablation]:
    """Prepare all tables.

    Args:
        facts: The inputs of the report; titles and budgets come from `params`.

    Returns:
        The tables in the order of the file; none where nothing was ablated.
    """
    if not len(facts.ablations):
        return []
    section = facts.params.get("ablate") or {}
    known = {table["name"]: table for table in section.get("tables", ())}
    return [
        _table(facts, str(name), rows, known.get(name, {}), section)
        for name, rows in facts.ablations.groupby("table", sort=False)
    ]


def ablations_csv(rows: pd.DataFrame) -> str:
    """Write what was measured, seed by seed.

    Args:
        rows: Accuracy by table, row, seed and width.

    Returns:
        CSV with `ABLATION_COLUMNS`; the header alone where nothing was ablated.
    """
    if not len(rows):
        return ",".join(ABLATION_COLUMNS) + "\n"
    words = {True: "true", False: "false"}
    table = rows.assign(**{name: rows[name].map(words) for name in ("seen", "collapsed")})
    table = table.astype(dict.fromkeys(("seed", "width", "inr_params"), int))
    csv: str = table.to_csv(
        index=False, columns=list(ABLATION_COLUMNS), float_format="%.6f", lineterminator="\n"
    )
    return csv


def _table(
    facts: Facts,
    name: str,
    frame: pd.DataFrame,
    table: Mapping[str, Any],
    section: Mapping[str, Any],
) -> Ablation:
    split = table.get("split") or section.get("split") or "test"
    digits = digits_for(facts.dataset.sizes.get(split))
    described = {row["name"]: row for row in table.get("rows", ())}
    usual = _budget(facts, table.get("change_base") or {})
    widths = [
        (width, bool(frame.loc[frame["width"] == width, "seen"].any()))
        for width in sorted(map(int, frame["width"].unique()), reverse=True)
    ]
    reference = table.get("reference")
    means = frame[frame["row"] == reference].groupby("width")["accuracy"].mean()
    rows = []
    for row_name, part in frame.groupby("row", sort=False):
        row = described.get(row_name, {})
        compared = means.to_dict() if row_name != reference else {}
        changes = {**(table.get("change_base") or {}), **(row.get("change") or {})}
        own = _budget(facts, changes)
        rows.append(
            Row(
                name=str(row_name),
                note="; ".join(filter(None, [_dead(part), own if own != usual else ""])),
                seeds=int(part["seed"].nunique()),
                size=whole(int(part["inr_params"].max())),
                cells=[
                    _cell(part[part["width"] == width], compared.get(width), digits)
                    for width, _ in widths
                ],
                published=_published(row.get("published")),
                reference=row_name == reference,
            )
        )
    tested = whole(size) + " " if (size := facts.dataset.sizes.get(split)) else ""
    caption = (
        f"Accuracy in per cent on {tested}{_SPLITS[split]} examples, mean ± standard deviation, "
        f"{_seeds(rows)} a row."
        + (f" Every row has {usual} unless it says otherwise." if usual else "")
        + _sampling(facts)
        + (f" Small signed numbers: difference from “{reference}”." if len(means) else "")
    )
    shown = any(row.published != DASH for row in rows)
    if split == "val" and (facts.params.get("report") or {}).get("base_saw_validation"):
        caption += " The base network was trained on these examples, so they rank rows, no more."
    if shown:
        caption += " Published numbers have another budget: compare differences, not levels."
    title, at = str(table.get("title") or name), table.get("published_width")
    return Ablation(name, title, caption, widths, rows, shown, at)


def _sampling(facts: Facts) -> str:
    """Say how networks are sampled where a row names nothing else."""
    draws = (facts.params.get("sweep") or {}).get("draws")
    noise = (facts.params.get("train") or {}).get("sample_noise")
    if draws is None or noise is None:
        return ""
    return f" Sampled with {draws} draws of noise {noise:g} unless the row says otherwise."


def _cell(rows: pd.DataFrame, compared: float | None, digits: int) -> Cell | None:
    if not len(rows):
        return None
    mean, std = rows["accuracy"].mean(), rows["accuracy"].std(ddof=1)
    delta = "" if compared is None else f"{100 * (mean - compared):+.{digits}f}"
    if delta and float(delta) == 0:
        delta = "±0"
    return Cell(
        accuracy=f"{100 * mean:.{digits}f}",
        spread=f"{100 * std:.{digits}f}" if math.isfinite(std) else "",
        delta=delta.replace("-", MINUS),
        seen=bool(rows["seen"].any()),
    )


def _dead(rows: pd.DataFrame) -> str:
    """Say how many seeds ended with a dead generator."""
    seeds = rows.groupby("seed")["collapsed"].any()
    if not seeds.any():
        return ""
    return f"dead generator in {seeds.sum()} of {len(seeds)} {_plural('seed', len(seeds))}"


def _budget(facts: Facts, changes: Mapping[str, Any]) -> str:
    """Say how long a row was trained, after changes with dotted keys."""
    train = copy.deepcopy(dict(facts.params.get("train") or {}))
    for key, value in changes.items():
        inner = train
        *parents, last = key.split(".")
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return inr_budget(train)


def _seeds(rows: list[Row]) -> str:
    low, high = min(row.seeds for row in rows), max(row.seeds for row in rows)
    return f"n = {low} {_plural('seed', low)}" if low == high else f"n = {low} to {high} seeds"


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word}s"


def _published(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"
