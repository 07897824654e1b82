"""The words and looks of a page, kept apart from its code."""

import tomllib
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Annotated, Any

from markupsafe import Markup
from pydantic import Field

from neumeta.core.records import Frozen
from neumeta.report.blocks import Block, Drawing, Figure, Record, Section


class Look(Frozen):
    """How one method, or whatever else is compared, is called, explained and drawn."""

    name: str  # in tables that programs read
    label: str  # the words a reader sees
    colour: str  # a key of the palette
    marker: str = "o"  # of matplotlib; never the only mark that tells curves apart
    dash: Annotated[tuple[float, ...], Field(strict=False)] = ()  # on and off lengths, points
    strong: bool = False  # a main curve, and thick
    group: str = "main"  # of figures
    meaning: str = "A method without a description in this report."  # one plain sentence

    @property
    def head(self) -> Markup:
        """Its label behind a short piece of its curve, for text beside a figure."""
        dashes = " ".join(f"{1.5 * length:g}" for length in self.dash) or "none"
        return Markup(
            '<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true" focusable="false">'
            '<line x1="1" y1="5" x2="27" y2="5" stroke="var(--{})" stroke-width="{}" '
            'stroke-dasharray="{}"></line></svg> {}'
        ).format(self.colour, 3 if self.strong else 2, dashes, self.label)


class Texts:
    """Texts of the `texts.toml` of a package; names in braces are places to be filled in."""

    def __init__(self, package: str) -> None:
        text = resources.files(package).joinpath("texts.toml").read_text(encoding="utf-8")
        self.words: dict[str, Any] = tomllib.loads(text)

    def __call__(self, name: str, **values: object) -> str:
        """Fill in the text of one name, outside of any table."""
        return str(self.words[name]).format(**values)

    def looks(self, table: str) -> dict[str, Look]:
        """Read the looks of a table by name, in order."""
        return {name: Look(name=name, **look) for name, look in self.words[table].items()}

    def terms(self) -> Record:
        """Explain the words of table `terms`."""
        return Record(list(self.words["terms"].items()), "glossary")

    def figure(self, name: str, drawing: Drawing, **values: object) -> Figure:
        """Show a drawing with `alt` and `caption` of table `figure.NAME`; values fill these."""
        words = self.words["figure"][name]
        return Figure(name, drawing, words["alt"], words["caption"].format(**values))

    def section(self, name: str, *blocks: Block, **values: object) -> Section:
        """Fold blocks under `title` and `hint` of table `section.NAME`; values fill the hint."""
        words = self.words["section"][name]
        return Section(name, words["title"], words["hint"].format(**values), blocks)


TEXTS = Texts("neumeta.report")


def glossary(looks: Iterable[Look], more: Callable[[str], str] = lambda name: "") -> Record:
    """Explain what is compared; `more` adds a sentence to that of a name."""
    head = Markup("{} <code>{}</code>")
    rows = [(head.format(look.head, look.name), look.meaning, more(look.name)) for look in looks]
    return Record([(term, " ".join(filter(None, told))) for term, *told in rows], "glossary")
