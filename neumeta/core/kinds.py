"""What a method brings to params.yaml: kinds of sections, and the loops of dvc.yaml over them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from neumeta.core.fields import Section

Loops: TypeAlias = dict[str, dict[str, Any]]
Sections: TypeAlias = Mapping[str, Section]


def _no_loops(name: str, section: Any, sections: Sections) -> Loops:
    return {}


def _no_check(name: str, section: Any, sections: Sections) -> None:
    return None


@dataclass(frozen=True)
class Kind:
    """One kind of section.

    Attributes:
        name: For people, such as `experiment`.
        model: Its schema.
        marks: Keys of which a section of this kind holds one, and a section of a later kind none.
        loops: What dvc.yaml loops over because of a section that is run: entries by name of the
            loop, each a name with what its stages read. The loop `networks`, name -> dataset, is
            that of the stage which makes base networks. None for a kind that is never run.
        check: Compares a section with the others; raises UserError without the file's name.
        looped: Names of all its loops, of which each is there, if empty.
    """

    name: str
    model: type[Section]
    marks: frozenset[str]
    loops: Callable[[str, Any, Sections], Loops] | None = _no_loops
    check: Callable[[str, Any, Sections], None] = _no_check
    looped: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodSections:
    """All that one method brings.

    Attributes:
        kinds: Its kinds of sections.
        shared: Schema by name of sections that are there once for all.
    """

    kinds: tuple[Kind, ...]
    shared: Mapping[str, type[Section]] = field(default_factory=dict)
