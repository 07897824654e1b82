"""The tables of the ablations: mean and spread per row and width."""

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pandas as pd

from neumeta.methods.metamorphosis.columns import ABLATION_COLUMNS
from neumeta.methods.metamorphosis.report.budgets import inr_budget
from neumeta.methods.metamorphosis.report.inputs import ReportInputs
from neumeta.methods.metamorphosis.report.looks import TEXTS
from neumeta.report.blocks import Row, Table, plus_minus, small
from neumeta.report.wording import DASH, SPLITS, digits_for, hundredths, several, span, whole


def ablations_csv(rows: pd.DataFrame) -> str:
    """Write what was measured, seed by seed, with `ABLATION_COLUMNS`, which may be all."""
    if not len(rows):
        return ",".join(ABLATION_COLUMNS) + "\n"
    flags = {name: rows[name].map({True: "true", False: "false"}) for name in ("seen", "collapsed")}
    table = rows.assign(**flags).astype(dict.fromkeys(("seed", "width", "inr_params"), int))
    table = table[list(ABLATION_COLUMNS)]
    return table.to_csv(index=False, float_format="%.6f", lineterminator="\n")


def ablations(inputs: ReportInputs) -> list[Table]:
    """Prepare the tables in the order of the file; none where nothing was ablated."""
    section = inputs.params.get("ablate") or {}
    known = {table["name"]: table for table in section.get("tables", ())}
    rows = inputs.ablations
    split, names = section.get("split") or "test", rows["table"].unique() if len(rows) else ()
    tables = [
        ({"title": name} | known.get(name, {}), rows[rows["table"] == name]) for name in names
    ]
    return [_table(inputs, own, table, split) for table, own in tables]


def _table(inputs: ReportInputs, frame: pd.DataFrame, table: dict[str, Any], split: str) -> Table:
    """One table; `table` is its section of params.yaml, or its title alone."""
    split = table.get("split") or split
    size, train = inputs.dataset.sizes.get(split), inputs.params.get("train") or {}
    digits, described = digits_for(size), {row["name"]: row for row in table.get("rows", ())}
    reference, changes = table.get("reference"), table.get("change_base") or {}
    budget = _budget(train, changes)
    published = any(row.get("published") is not None for row in described.values())
    seen = frame.groupby("width")["seen"].any().iloc[::-1]
    by_row = frame.groupby(["row", "width"], sort=False)
    stats = by_row["accuracy"].agg(["mean", "std"]).join(by_row["seen"].any())
    rows = []
    for name, part in frame.groupby("row", sort=False):
        row, cells = described.get(name, {}), []
        own = _budget(train, {**changes, **(row.get("change") or {})})
        notes = [_dead(part), own if own != budget else ""]
        for width, trained in seen.items():
            mean, std, here = (stats[c].get((name, width), math.nan) for c in stats.columns)
            other = stats["mean"].get((reference, width), math.nan)
            delta = hundredths(mean - other, digits, plus=True) if name != reference else ""
            note = "not trained" if trained and not here else ""
            cells.append(plus_minus(mean, std, digits, delta, note))
        if published:
            told = row.get("published")
            cells.append(DASH if told is None else f"{told:.2f}")
        head = small(str(name), "; ".join(filter(None, notes)))
        kind = "reference" if name == reference else ""
        rows.append(Row([head, whole(part["inr_params"].max()), *cells], kind))
    at = f", h = {table['published_width']}" if table.get("published_width") else ""
    heads = [small(f"h = {w}", "" if trained else "not trained") for w, trained in seen.items()]
    columns = ["Row", "INR parameters", *heads, *([f"Published{at}"] if published else [])]
    seeds, noise = frame.groupby("row")["seed"].nunique(), train.get("sample_noise")
    draws = (inputs.params.get("sweep") or {}).get("draws")
    tested = f"{whole(size)} {SPLITS[split]}" if size else SPLITS[split]
    each = f"{span(seeds)} seed{'' if seeds.max() == 1 else 's'}"
    facts: dict[str, Any] = {"tested": tested, "seeds": each, "budget": budget}
    facts |= {"draws": draws, "noise": noise, "row": reference}
    saw = split == "val" and inputs.text.get("base_saw_validation")
    told = {"ablated": True, "usual": budget, "sampled": draws and noise is not None}
    told |= {"reference": reference in set(frame["row"])}
    told |= {"seen_before": saw, "published": published}
    note = " ".join(TEXTS(key, **facts) for key, known in told.items() if known)
    return Table(str(table["title"]), columns, rows, note)


def _dead(rows: pd.DataFrame) -> str:
    dead = rows.groupby("seed")["collapsed"].any()
    return f"dead generator in {dead.sum()} of {several(len(dead), 'seed')}" if dead.any() else ""


def _budget(train: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """How long a row was trained, after changes with dotted keys."""
    changed = deepcopy(dict(train))
    for key, value in changes.items():
        *parents, last = key.split(".")
        inner = changed
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return inr_budget(changed)
