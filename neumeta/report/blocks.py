"""The blocks that a page is a list of; texts are escaped, `Markup` stands as it is."""

import base64
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple, Union

from markupsafe import Markup, escape
from ruamel.yaml import YAML
from ruamel.yaml.nodes import SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from neumeta.report.wording import DASH, hundredths


class KeyFigure(NamedTuple):
    """One large number."""

    value: str  # with its unit
    label: str  # what it is
    note: str  # where and how many


class Drawing(NamedTuple):
    """A picture and where the values of its horizontal axis lie, in SVG units."""

    svg: str  # standalone
    x: Mapping[int, float] = {}  # horizontal place by value; empty where none can be picked
    top: float = 0.0  # edges of the axes
    bottom: float = 0.0


class Figure(NamedTuple):
    """One picture."""

    name: str  # its id on the page, after `figure-`
    drawing: Drawing
    alt: str  # what it shows, and where its numbers stand
    caption: str  # how to read it


class Row(NamedTuple):
    """One row of a table."""

    cells: Sequence[str]  # the first one heads the row
    kind: str = ""  # how it looks: `ours`, `reference`, `published` or `unseen`


class Table(NamedTuple):
    """A table; a click on a head of a sortable one sorts by the first number of each cell."""

    caption: str
    columns: Sequence[str]  # heads; the first one is that of the rows' heads
    rows: Sequence[Row]
    note: str = ""  # what a reader must know
    foot: Sequence[Row] = ()  # sums
    sortable: bool = False
    compact: bool = False  # set small, for little room or many columns
    stacked: bool = False  # on a phone every cell has a line of its own, behind its head


class Text(NamedTuple):
    """Paragraphs, or the items of a list, or an example to copy."""

    paragraphs: Sequence[str]
    kind: str = "paragraphs"  # or `bullets` or `code`
    caption: str = ""  # of code: what it is


class Record(NamedTuple):
    """Terms and what they stand for."""

    entries: Sequence[tuple[str, str]]
    kind: str = "record"  # how it looks: `record` or `glossary`


class Picker(NamedTuple):
    """A table of one value at a time, picked by a slider, a number, or in a figure."""

    label: str  # what is picked
    figure: str  # name of the figure that can be clicked
    columns: Sequence[str]
    heads: Sequence[str]  # of the rows
    choices: Sequence[Mapping[str, Any]]  # value `at`, `badge` (`strong`), `text`, cells of `rows`
    chosen: int  # place of the one that is shown first

    def data(self) -> Markup:
        """Write all choices as JSON that may stand in a script element."""
        return Markup(json.dumps(self.choices, ensure_ascii=False).replace("<", "\\u003c"))


Block = Union[Figure, Table, Text, Record, Picker, "Section"]


class Section(NamedTuple):
    """A folded part of a page."""

    name: str  # its id
    title: str
    hint: str  # what it holds or says, in one line that is seen while it is folded
    blocks: Sequence[Block]


class Page(NamedTuple):
    """One report; figure and table stand in the first screen, below the headline."""

    name: str  # of the experiment
    text: Mapping[str, Any]  # section `report` of its parameters: `title`, and `summary` as lead
    headline: str  # what came out of it
    figure: Figure
    table: Table
    key_figures: Sequence[KeyFigure]
    sections: Sequence[Section]  # all else
    footer: str = ""


class Report(NamedTuple):
    """The files of one report: text by file name, and JSON for the overview of all."""

    files: Mapping[str, str]
    summary: str


def small(text: str, *notes: str) -> str:
    """Write a text with small notes behind it; empty notes are left out."""
    told = [Markup("<small>{}</small>").format(note) for note in notes if note]
    return Markup(" ").join([escape(text), *told])


def folded(params: Mapping[str, Any], name: str = "params") -> list["Section"]:
    """Fold the sections of parameters, each as YAML under its name; the hint lists its keys."""
    found = []
    for key, value in params.items():
        keys = list(value) if isinstance(value, Mapping) else [value]
        hint = ", ".join(map(str, keys[:8])) + (", …" if len(keys) > 8 else "")
        code = Text([yaml_text({key: value})], "code", f"Parameters: {key}")
        found.append(Section(f"{name}-{key}", key, hint, [code]))
    return found


def plus_minus(value: float, std: float, digits: int, *notes: str) -> str:
    """Write a fraction in hundredths with its spread, if any, or a dash, and small notes."""
    spread = hundredths(std, digits)
    return small(hundredths(value, digits) or DASH, f"±{spread}" if spread else "", *notes)


def with_download(text: str, name: str, content: str, words: str) -> str:
    """Write a text, and link a CSV that is part of the page, to be saved under a name."""
    data = base64.b64encode(content.encode()).decode()
    link = '{} <a class="screen-only" download="{}" href="data:text/csv;base64,{}">{}</a>'
    return Markup(link).format(text, name, data, words)


class _Lines(SafeRepresenter):
    """Writes lists of plain values on one line, whatever else in lines of its own."""

    def of_list(self, values: list[Any]) -> SequenceNode:
        plain = not any(isinstance(value, list | dict) for value in values)
        return self.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=plain)


_Lines.add_representer(list, _Lines.of_list)


def yaml_text(value: Any) -> str:
    """Write YAML with a line for every key; lists of plain values stand on one."""
    yaml, stream = YAML(typ="safe", pure=True), StringIO()
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    yaml.Representer = _Lines
    yaml.dump(value, stream)
    return stream.getvalue().strip()
