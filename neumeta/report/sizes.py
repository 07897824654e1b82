"""What the networks weigh, and what the INR weighs that makes them."""

from typing import NamedTuple

from neumeta.report.facts import Facts
from neumeta.report.tables import Statistics, all_points
from neumeta.report.wording import count, percent, whole


class Size(NamedTuple):
    """One line of the table of sizes.

    Attributes:
        what: Whose size.
        values: Number of values, as text.
        note: How it compares.
    """

    what: str
    values: str
    note: str


def base_params(stats: Statistics) -> float:
    """Size of the base network.

    Args:
        stats: What `statistics` returns.

    Returns:
        Its parameters, or those of the largest network where it was not measured.
    """
    base = list(stats.get("base", {}).values()) or all_points(stats)
    return max(point.params for point in base)


def base_width(stats: Statistics, facts: Facts) -> int | None:
    """Width at which all morphing channels are kept.

    Args:
        stats: What `statistics` returns.
        facts: The inputs of the report.

    Returns:
        The base width, or None where nothing tells it.
    """
    if measured := stats.get("base"):
        return max(measured)
    family = facts.params.get("family") or {}
    return int(family["base_width"]) if "base_width" in family else None


def kept(width: int, base: int | None) -> str:
    """Share of the morphing channels that a width keeps.

    Args:
        width: Base width h.
        base: The width that keeps all.

    Returns:
        Such as `75.0 %`, or a dash.
    """
    return percent(width / base if base else None)


def sizes(facts: Facts, stats: Statistics) -> list[Size]:
    """Compare the INR with what it makes.

    Args:
        facts: The inputs of the report.
        stats: What `statistics` returns.

    Returns:
        Lines of a table; none without an INR.
    """
    if facts.inr is None or not facts.inr.params:
        return []
    network, inr, frozen = base_params(stats), facts.inr.params, facts.inr.frozen
    made = network - frozen
    lines = [Size("Whole network at the base width", whole(network), "")]
    lines.append(Size("of it made by the INR", whole(made), percent(made / network)))
    if frozen:
        lines.append(Size("of it kept as trained", whole(frozen), percent(frozen / network)))
    note = f"{_times(float(inr), network)} the whole network"
    if frozen:
        note += f", {_times(inr, made)} the part it makes"
    lines.append(Size("The INR itself", whole(inr), note))
    stored = f"{facts.inr.bytes / 1e6:.1f} MB for {count(facts.inr.values)} values"
    lines.append(Size("The file: INR and kept tensors", whole(facts.inr.values), stored))
    return lines


def _times(part: int | float, of: int | float) -> str:
    return f"{part / of:.3g} times"
