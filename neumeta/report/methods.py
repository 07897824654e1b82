"""What every method of the result table is called, means, and looks like."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Group = Literal["main", "variant", "pruned", "finetuned"]
ONE_FIGURE = 9  # more curves than these are spread over two figures


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
        group: `main` is in the first figure always; the others make room where there are many.
    """

    name: str
    label: str
    meaning: str
    colour: str
    marker: str
    dash: tuple[float, ...] = ()
    strong: bool = False
    group: Group = "main"


_SHORT = (2.0, 2.0)  # dashes of a pruned network
_LONG = (9.0, 3.0)  # dashes of a fine-tuned one


def _criterion(key: str, label: str, rule: str, colour: str, markers: str) -> tuple[Method, Method]:
    """One pruning criterion, without and with fine-tuning, in one colour."""
    known = key == "l1"  # the criterion that every experiment has
    return (
        Method(
            f"pruned-{key}",
            f"Pruned ({label})",
            f"The base network with {rule} removed; no training.",
            colour,
            markers[0],
            _SHORT,
            group="main" if known else "pruned",
        ),
        Method(
            f"pruned-{key}-finetuned",
            f"Pruned ({label}), fine-tuned",
            "The same pruned network, trained further at its width.",
            colour,
            markers[1],
            _LONG,
            group="main" if known else "finetuned",
        ),
    )


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
        group="variant",
    ),
    Method(
        "individual",
        "Individual",
        "For each width alone, what the INR makes is trained from scratch; the rest is the base's, "
        "or trained too where params.yaml has trains: all.",
        "orange",
        "s",
        strong=True,
    ),
    Method(
        "individual-distilled",
        "Individual, distilled",
        "The same, trained on the answers of the base network too.",
        "gold",
        "s",
        (5.0, 2.0),
        group="variant",
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
        "slimmable",
        "Slimmable",
        "One set of weights for all widths, each using the first channels, trained jointly.",
        "rose",
        "P",
        (12.0, 3.0),
    ),
    Method(
        "integral",
        "Integral network",
        "Weights as a trained continuous function along the channels, sampled at each width.",
        "teal",
        "h",
        (6.0, 2.0, 1.0, 2.0),
    ),
    Method(
        "interpolated",
        "Interpolated",
        "The permuted base weights, interpolated along the channel axes; no training.",
        "purple",
        "^",
        (8.0, 2.0, 2.0, 2.0),
    ),
    *_criterion("random", "random", "channels chosen at random", "olive", "<>"),
    *_criterion("l1", "L1", "its channels of smallest L1 norm", "green", "vD"),
    *_criterion("l2", "L2", "its channels of smallest L2 norm", "indigo", "Xd"),
    *_criterion(
        "taylor", "Taylor", "the channels whose removal changes the loss least", "brown", "ph"
    ),
    *_criterion(
        "hessian", "Hessian", "the channels of least importance to second order", "red", "8H"
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


def first_figure(names: Iterable[str]) -> list[Method]:
    """Choose the methods of the first figure, so that it stays readable.

    Args:
        names: Method names of the table.

    Returns:
        All of them up to `ONE_FIGURE`; beyond that the main ones and those without a description.
    """
    methods = describe(names)
    if len(methods) <= ONE_FIGURE:
        return methods
    return [method for method in methods if method.group == "main"]
