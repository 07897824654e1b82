"""What every method of the result table is called, means, and looks like."""

from collections.abc import Iterable, Sequence
from itertools import cycle

from neumeta.report.texts import Look, Texts

ONE_FIGURE = 9  # more curves than these are spread over two figures
OURS = ("neumeta", "neumeta-noise-free")
SHARING = ("slimmable", "integral")  # one set of weights for all widths
TEXTS = Texts("neumeta.methods.metamorphosis.report")
_KNOWN = TEXTS.looks("methods")
_COLOURS = ("rose", "teal", "indigo", "brown")  # of methods that the texts do not know
_MARKERS = ("P", "h", "<", ">", "X", "p", "d")
_DASHES = ((6.0, 2.0, 1.0, 2.0), (4.0, 1.5), (12.0, 3.0))


def describe(names: Iterable[str]) -> list[Look]:
    """Describe the methods of a table in a fixed order; unknown ones are last, with spare looks."""
    wanted = set(names)
    unknown = sorted(wanted - set(_KNOWN))
    spare = zip(unknown, cycle(_COLOURS), cycle(_MARKERS), cycle(_DASHES), strict=False)
    return [look for name, look in _KNOWN.items() if name in wanted] + [
        Look(name=n, label=n, colour=colour, marker=marker, dash=dash)
        for n, colour, marker, dash in spare
    ]


def is_trained(method: str) -> bool:
    """Tell whether networks of a method are trained, be it by fine-tuning.

    Those of a method that is not described are taken to be.
    """
    bare = method.startswith("pruned-") and not method.endswith("-finetuned")
    return not bare and method not in ("merged", "interpolated", "bypass")


def first_figure(methods: Sequence[Look]) -> list[Look]:
    """Choose all methods up to `ONE_FIGURE`; beyond that the main ones and those not described."""
    few = len(methods) <= ONE_FIGURE
    return [method for method in methods if few or method.group == "main"]
