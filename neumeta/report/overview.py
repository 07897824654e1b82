"""The page that lists all experiments."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from neumeta.core.errors import UserError
from neumeta.report import wording
from neumeta.report.methods import describe
from neumeta.report.page import template
from neumeta.report.style import accuracy_height
from neumeta.report.summary import FORMAT

_TEXTS = ("experiment", "title", "summary", "headline", "dataset")
_WIDTH, _HEIGHT = 340.0, 96.0  # of a small curve, SVG units


def check_summary(value: Mapping[str, Any], where: str) -> None:
    """Check one entry before it is shown.

    Args:
        value: What `summary` returned, read back.
        where: Named in the error.

    Raises:
        UserError: On the first thing that is missing or wrong.
    """
    if value.get("format") != FORMAT:
        raise UserError(
            f"{where}: format is {value.get('format')!r}; must be {FORMAT}, "
            "run the report stage again"
        )
    for key in _TEXTS:
        if not isinstance(value.get(key), str):
            raise UserError(f"{where}: {key} must be a text")
    for key in ("base", "worst_gap"):
        point = value.get(key)
        if point is not None and not _is_point(point):
            raise UserError(f"{where}: {key} must be null or hold a width and an accuracy")
    if not isinstance(value.get("seeds"), int):
        raise UserError(f"{where}: seeds must be a whole number")
    if not isinstance(value.get("test_size"), int | None):
        raise UserError(f"{where}: test_size must be a whole number or null")
    curves = value.get("curves")
    if not isinstance(curves, dict) or not all(
        isinstance(points, list) and all(_is_point(point) for point in points)
        for points in curves.values()
    ):
        raise UserError(f"{where}: curves must hold lists of points with width and accuracy")


def render_overview(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Write the page.

    Args:
        summaries: Checked entries; shown by name.

    Returns:
        HTML with one card per experiment, linked to `EXPERIMENT/index.html`.
    """
    ordered = sorted(summaries, key=lambda entry: entry["experiment"])
    return template("overview.html.j2").render(cards=[_card(entry) for entry in ordered])


def _card(entry: Mapping[str, Any]) -> dict[str, Any]:
    digits = wording.digits_for(entry["test_size"])
    gap = entry["worst_gap"]
    facts = []
    if entry["base"]:
        base = entry["base"]
        facts.append(
            (
                "Base network",
                f"{wording.percent(base['accuracy'], digits)} at width {base['width']}",
            )
        )
    ours = entry["curves"].get("neumeta", [])
    if ours:
        low, high = min(ours, key=_width), max(ours, key=_width)
        text = " to ".join(
            f"{wording.percent(point['accuracy'], digits)} at width {point['width']}"
            + ("" if point.get("seen", True) else " (not trained)")
            for point in ([low, high] if low is not high else [low])
        )
        facts.append(("NeuMeta", text))
    if gap:
        side = "below" if gap["accuracy"] > 0 else "above"
        text = f"at worst {wording.points(gap['accuracy'], digits)} {side}, at width {gap['width']}"
        facts.append(("Against individual, trained widths", text))
    size = f", {wording.whole(entry['test_size'])} test examples" if entry["test_size"] else ""
    facts.append(("Data", f"{entry['dataset']}{size}"))
    facts.append(("INR seeds", str(entry["seeds"])))
    return {**entry, "facts": facts, "curve": Markup(mini_curve(entry["curves"]))}


def mini_curve(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Draw the curves of one card without axes; the numbers stand beside it.

    Args:
        curves: Points with width, accuracy and seen, by method.

    Returns:
        An inline SVG; empty if there is nothing to draw.
    """
    every = [point for points in curves.values() for point in points]
    if not every:
        return ""
    widths = [point["width"] for point in every]
    heights = [float(accuracy_height(point["accuracy"])) for point in every]
    low_x, span_x = min(widths), max(max(widths) - min(widths), 1)
    low_y, span_y = min(heights), max(max(heights) - min(heights), 0.1)

    def place(point: Mapping[str, Any]) -> tuple[float, float]:
        x = 8 + (point["width"] - low_x) / span_x * (_WIDTH - 16)
        y = (float(accuracy_height(point["accuracy"])) - low_y) / span_y
        return x, _HEIGHT - 8 - y * (_HEIGHT - 16)

    parts = [f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" aria-hidden="true" focusable="false">']
    seen = [place(point)[0] for point in curves.get("neumeta", []) if point.get("seen")]
    if seen:
        half = (_WIDTH - 16) / span_x / 2
        left, right = max(min(seen) - half, 0), min(max(seen) + half, _WIDTH)
        parts.append(
            f'<rect x="{left:.1f}" y="0" width="{right - left:.1f}" height="{_HEIGHT:g}" '
            'fill="var(--tint)"></rect>'
        )
    for method in reversed(describe(curves)):
        points = [place(point) for point in sorted(curves[method.name], key=_width)]
        if not points:
            continue
        if len(points) == 1:  # a line of one point is nothing to see
            ((x, y),) = points
            colour = f"var(--{method.colour})"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"></circle>')
            continue
        dash = " ".join(f"{length:g}" for length in method.dash)
        parts.append(
            f'<polyline fill="none" stroke="var(--{method.colour})" stroke-linejoin="round" '
            f'stroke-width="{2.5 if method.name == "neumeta" else 1.5}" '
            f'stroke-dasharray="{dash or "none"}" '
            f'points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"></polyline>'
        )
    return "".join(parts) + "</svg>"


def _width(point: Mapping[str, Any]) -> float:
    return float(point["width"])


def _is_point(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(key), int | float)
        and not isinstance(value.get(key), bool)
        and math.isfinite(value[key])
        for key in ("width", "accuracy")
    )
