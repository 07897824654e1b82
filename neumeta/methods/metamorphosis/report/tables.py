"""The tables of the page: accuracies, drops, all widths, one width, variation, sizes."""

import math
from collections.abc import Sequence

import pandas as pd

from neumeta.measure.statistics import above_bound, seen_by_width, standard_error
from neumeta.methods.metamorphosis.report.inputs import ReportInputs
from neumeta.methods.metamorphosis.report.looks import TEXTS
from neumeta.report.blocks import Picker, Row, Table, plus_minus, small, with_download
from neumeta.report.texts import Look
from neumeta.report.wording import DASH, change, count, hundredths, percent, span, whole


def key_widths(stats: pd.DataFrame) -> list[int]:
    """Choose the ends, the base width, and five widths spread over the trained ones, in order."""
    widths = seen_by_width(stats)
    seen = [width for width, trained in widths.items() if trained]
    base = stats.query("method == 'base'").index.get_level_values("width")
    spread = {seen[quarter * (len(seen) - 1) // 4] for quarter in range(5)} if seen else set()
    return sorted({min(widths), max(widths), *map(int, base), *spread})


def key_table(inputs: ReportInputs, methods: Sequence[Look], drops: bool = False) -> Table:
    """Compare accuracies, or drops from the base, at the widths of the paper or the key widths."""
    stats, told, seen, rows = inputs.stats, inputs.published, seen_by_width(inputs.stats), []
    ours = set(inputs.of("neumeta").index) or set(seen)
    widths = sorted((told.keys() or set(key_widths(stats))) & ours or ours, reverse=True)
    for method in methods:
        points = inputs.of(method.name).reindex(widths)
        means = (inputs.base or math.nan) - points["mean"] if drops else points["mean"]
        pairs = zip(means, points["std"], strict=True)
        cells = [plus_minus(mean, std, inputs.digits) for mean, std in pairs]
        if points["n"].any() and not (drops and method.name == "base"):
            head = small(method.head, f"n = {span(points['n'].dropna())}")
            rows.append(Row([head, *cells], "ours" if method.name == "neumeta" else ""))
    if told and rows and rows[0].kind == "ours":
        base, lost = inputs.text.get("published_base"), inputs.published_drops
        cells = [hundredths(told[width], 2) for width in widths]
        if drops:
            shown = {width: hundredths(lost[width], 2) if lost else DASH for width in widths}
            cells = [small(shown[width], percent(told[width], 2)) for width in widths]
        head = small("NeuMeta, published", f"base {base:.2f} %" if base is not None else "")
        rows.append(Row([head, *cells], "published"))
    kept = stats["kept"].groupby("width").first().map(lambda v: percent(v).replace(".0", ""))
    known = {width: "" if seen[width] else ", not trained" for width in widths}
    heads = [small(f"h = {width}", f"{kept[width]} kept{known[width]}") for width in widths]
    caption, note = (TEXTS("drops"), TEXTS("dropped")) if drops else (TEXTS("accuracies"), "")
    return Table(caption, ["Method", *heads], rows, note + TEXTS("kept"), compact=not drops)


def all_widths(inputs: ReportInputs, methods: Sequence[Look], csv: str) -> Table:
    """List every width with the accuracies of some methods; `csv` is the whole result table."""
    stats, digits, rows = inputs.stats, inputs.digits, []
    shown = [method for method in methods if method.name != "base"] or methods
    for width, seen in seen_by_width(stats).items():
        here = stats.xs(width, level="width")
        first, cells = here.iloc[0], {method.name: DASH for method in shown}
        for name, mean, std, params in here[["mean", "std", "params"]].itertuples():
            other = "" if params == first["params"] else f"{whole(params)} params"
            cells |= {name: plus_minus(mean, std, digits, other)} if name in cells else {}
        size = small(whole(first["params"]), percent(first["share"]))
        row = [str(width), "yes" if seen else "no", *cells.values()]
        row += [percent(first["kept"]), size, whole(first["macs"])]
        rows.append(Row(row, "" if seen else "unseen"))
    note = TEXTS("widths")
    note += TEXTS("base", base=percent(inputs.base, digits)) if inputs.base is not None else ""
    if inputs.tested and stats["n"].any():
        best = float(stats["mean"].max())
        facts = {"size": whole(inputs.tested), "best": percent(best, digits)}
        note += TEXTS("noise", error=100 * standard_error(best, inputs.tested), **facts)
    heads = [small(method.label, f"n = {span(stats.loc[method.name]['n'])}") for method in shown]
    heads += ["Channels kept", small("Parameters", "of the base"), "MACs"]
    name = f"{inputs.experiment}-accuracy_vs_width.csv"
    note = with_download(note, name, csv, "Download every row as CSV")
    columns = ["Width", "Trained", *heads]
    return Table("All widths", columns, rows, note, sortable=True, compact=True)


def width_picker(inputs: ReportInputs) -> Picker:
    """Show every method at one width at a time; it starts in the middle of the trained widths."""
    stats, digits, choices = inputs.stats, inputs.digits, []
    texts = pd.DataFrame(
        {
            "Accuracy": stats["mean"].map(lambda value: percent(value, digits)),
            "Spread (std)": stats["std"].map(lambda v: f"± {hundredths(v, digits)}".rstrip("± ")),
            "Range": stats.apply(lambda point: _range(point, digits), axis=1),
            "Seeds n": stats["n"].map(lambda n: str(n or "")),
            "Loss": stats["loss"].map(lambda v: f"{v:.3f}" if math.isfinite(v) else DASH),
            "Parameters": stats["params"].map(whole),
            "MACs": stats["macs"].map(whole),
            "Latency": stats["latency"].map(lambda v: f"{v:.3g} ms" if v == v else DASH),
        }
    )
    for width, seen in seen_by_width(stats).items():
        here, first = texts.xs(width, level="width"), stats.xs(width, level="width").iloc[0]
        sizes = {name: whole(first[name]) for name in ("params", "macs")}
        shares = {name: percent(first[name]) for name in ("share", "kept")}
        rows = [
            list(here.loc[m.name]) if m.name in here.index else _absent(stats.loc[m.name].index)
            for m in inputs.methods
        ]
        badge, text = "trained width" if seen else "not trained", TEXTS("picked", **sizes, **shares)
        choices.append({"at": width, "badge": badge, "strong": seen, "text": text, "rows": rows})
    inner = [p for p, choice in enumerate(choices) if choice["strong"]] or [*range(len(choices))]
    heads, columns = [method.head for method in inputs.methods], ["Method", *texts.columns]
    return Picker("Width", "width", columns, heads, choices, inner[len(inner) // 2])


def _range(point: pd.Series, digits: int) -> str:
    low, high = (hundredths(point[end], digits) for end in ("low", "high"))
    one = "" if point["n"] else "no finite accuracy"
    return f"{low} to {high}" if point["n"] > 1 else one


def _absent(widths: pd.Index) -> list[str]:
    listed = ", ".join(map(str, widths[:8])) + (", …" if len(widths) > 8 else "")
    told = f"only at width{'' if len(widths) == 1 else 's'} {listed}"
    return [DASH, "", told, "", DASH, DASH, DASH, DASH]


def variation_table(inputs: ReportInputs) -> Table:
    """List the groups of channels in both orders, with the proven bound."""
    old, new = (inputs.variation.total_variation[order] for order in ("before", "after"))

    def row(head: str, channels: str, before: float, after: float, gap: str = "") -> Row:
        return Row([head, channels, f"{before:.1f}", f"{after:.1f}", change(before, after), gap])

    rows = []
    for group in inputs.variation.groups:
        ends = (group.length_before, group.length_after)
        gap = above_bound(group.length_after, group.lower_bound)
        rows.append(row(group.name, str(group.channels), *ends, percent(gap, 2)))
    foot = [row("All tensors, all axes: sum", "", old.sum, new.sum)]
    foot.append(row("The same, per tensor", "", old.per_tensor, new.per_tensor))
    columns = ["Group", "Channels", "Before", "After", "Change", "Above the proven bound"]
    return Table("Total variation per group", columns, rows, foot=foot)


def sizes_table(inputs: ReportInputs) -> list[Table]:
    """Compare the INR with what it makes; no table without an INR."""
    inr, network = inputs.inr, inputs.base_params
    if inr is None or not inr.params:
        return []
    made, note = network - inr.frozen, f"{inr.params / network:.3g} times the whole network"
    lines = [["Whole network at the base width", whole(network), ""]]
    lines.append(["of it made by the INR", whole(made), percent(made / network)])
    if inr.frozen:
        lines.append(["of it kept as trained", whole(inr.frozen), percent(inr.frozen / network)])
        note += f", {inr.params / made:.3g} times the part it makes"
    stored = f"{inr.stored[min(inr.stored)] / 1e6:.1f} MB for {count(inr.values)} values"
    lines.append(["The INR itself", whole(inr.params), note])
    lines.append(["The file: INR and kept tensors", whole(inr.values), stored])
    columns, rows = ["What", "Values", "Compared"], [Row(line) for line in lines]
    return [Table("The INR beside what it makes", columns, rows)]
