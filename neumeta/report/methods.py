"""What every method of the result table is called, means, and looks like."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """How one method is shown.

    Attributes:
        name: Its name in the result table.
        label: The words a reader sees.
        meaning: One plain sentence.
        colour: A key of the palette.
        marker: A matplotlib marker; never the only mark that tells methods apart.
        dash: On and off lengths in points; empty for a solid line.
        strong: Whether this is a main curve (thick, a marker at every width).
    """

    name: str
    label: str
    meaning: str
    colour: str
    marker: str
    dash: tuple[float, ...] = ()
    strong: bool = False


_KNOWN = (
    Method(
        "neumeta",
        "NeuMeta",
        "One INR makes the weights of every width; the mean of several noisy draws.",
        "blue",
        "o",
        strong=True,
    ),
    Method(
        "neumeta-noise-free",
        "NeuMeta, noise-free",
        "The same INR, read once at the exact coordinates, without noise.",
        "sky",
        "o",
        (5.0, 2.0),
    ),
    Method(
        "individual",
        "Individual",
        "A separate network trained from scratch for each width.",
        "orange",
        "s",
        strong=True,
    ),
    Method(
        "base",
        "Base network",
        "The trained network at full width that the INR starts from.",
        "ink",
        "*",
        (1.0, 2.5),
    ),
    Method(
        "interpolated",
        "Interpolated",
        "The permuted base weights, interpolated along the channel axes; no training.",
        "purple",
        "^",
        (8.0, 2.0, 2.0, 2.0),
    ),
    Method(
        "pruned-l1",
        "Pruned (L1)",
        "The base network with its channels of smallest L1 norm removed; no training.",
        "olive",
        "v",
        (2.0, 2.0),
    ),
    Method(
        "pruned-l1-finetuned",
        "Pruned (L1), fine-tuned",
        "The same pruned network, trained further at its width.",
        "green",
        "D",
        (9.0, 3.0),
    ),
    Method(
        "bypass",
        "Bypass floor",
        "The generated tensors set to zero: what is left when the INR does nothing.",
        "grey",
        "x",
        (1.0, 1.5),
    ),
)

_SPARE_COLOURS = ("rose", "teal", "indigo", "brown")
_SPARE_MARKERS = ("P", "h", "<", ">", "X", "p", "d")
_SPARE_DASHES = ((6.0, 2.0, 1.0, 2.0), (4.0, 1.5), (12.0, 3.0))


def describe(names: Iterable[str]) -> list[Method]:
    """Describe the methods of a table, known ones first and in a fixed order.

    A name this table does not know gets its own name as label and a look of its own, which
    depends on the other unknown names alone.

    Args:
        names: Method names, in any order, repeats allowed.

    Returns:
        One description per distinct name.
    """
    wanted = set(names)
    known = [method for method in _KNOWN if method.name in wanted]
    unknown = sorted(wanted - {method.name for method in _KNOWN})
    spare = [
        Method(
            name,
            name,
            "A method without a description in this report.",
            _SPARE_COLOURS[place % len(_SPARE_COLOURS)],
            _SPARE_MARKERS[place % len(_SPARE_MARKERS)],
            _SPARE_DASHES[place % len(_SPARE_DASHES)],
        )
        for place, name in enumerate(unknown)
    ]
    return known + spare
