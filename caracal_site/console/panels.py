"""What a page shows below its fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.utils.safestring import SafeString

from caracal_site.console.drawing import Drawing
from caracal_site.console.timeline import Entry

Cell = SafeString | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings; ``more`` leads to all of them."""

    template: ClassVar[str] = "console/panels/table.html"

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str = "None."
    more: Cell = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names and values."""

    template: ClassVar[str] = "console/panels/facts.html"

    title: str
    facts: Sequence[tuple[str, Cell]]
    note: Cell = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Drawings side by side, each with its caption."""

    template: ClassVar[str] = "console/panels/pictures.html"

    title: str
    pictures: Sequence[tuple[str, Drawing]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where to go from here, with how many are there."""

    template: ClassVar[str] = "console/panels/links.html"

    title: str
    links: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Text of a program with its line numbers, and remarks below the lines they are
    about (line 0: above all of them)."""

    template: ClassVar[str] = "console/panels/source.html"

    title: str
    text: str
    remarks: Sequence[tuple[int, str]] = ()
    note: Cell = ""

    @property
    def lines(self) -> list[tuple[int, str, list[str]]]:
        """(number, line, its remarks) of every line, and of line 0 if it has any."""
        numbered = list(enumerate(self.text.splitlines(), 1))
        known = {number for number, _ in numbered}
        about: dict[int, list[str]] = {}
        for number, remark in self.remarks:
            about.setdefault(number if number in known else 0, []).append(remark)
        if 0 in about:
            numbered.insert(0, (0, ""))
        return [(number, line, about.get(number, [])) for number, line in numbered]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Entries of the audit timeline; ``more`` leads to all of them."""

    template: ClassVar[str] = "console/panels/story.html"

    title: str
    entries: Sequence[Entry]
    more: Cell = ""


Panel = Table | Facts | Pictures | Links | Source | Story
