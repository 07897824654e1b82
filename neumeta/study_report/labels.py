"""How strategies are called, drawn and explained."""

from typing import NamedTuple

ORIGINAL, OURS = "original", "ours"


class Label(NamedTuple):
    """One strategy on the page.

    Attributes:
        text: Shown.
        colour: Key of the palette.
        marker: Of matplotlib.
        meaning: One or two sentences.
    """

    text: str
    colour: str
    marker: str
    meaning: str


LABELS: dict[str, Label] = {
    ORIGINAL: Label("original", "ink", "D", "The order in which training left the channels."),
    "random": Label("random", "grey", "x", "A random order of every group."),
    "layer-greedy": Label(
        "layer-wise greedy",
        "orange",
        "s",
        "Always on to the nearest channel, by the first tensor of a group alone; the best of the "
        "paths from all starts.",
    ),
    "layer-2-opt": Label(
        "layer-wise 2-opt",
        "purple",
        "^",
        "The same path, improved by reversals until none helps; by the first tensor alone, too.",
    ),
    OURS: Label(
        "ours",
        "blue",
        "o",
        "All tensors of a group count (the multi-objective path of Algorithm 1). Starts: a route "
        "of PyVRP, the greedy path, the given order. Then reversals and moved segments until none "
        "helps; up to 128 channels all starts are improved, and left again by kicks.",
    ),
}
