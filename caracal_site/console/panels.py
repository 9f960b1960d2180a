"""What a page shows below its fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
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
    about (line 0: above all of them). ``paint`` gives its lines as HTML."""

    template: ClassVar[str] = "console/panels/source.html"

    title: str
    text: str
    remarks: Sequence[tuple[int, str]] = ()
    note: Cell = ""
    paint: Callable[[str], Sequence[SafeString]] | None = None

    @property
    def lines(self) -> list[tuple[int, Cell, list[str]]]:
        """(number, line, its remarks) of every line, and of line 0 if it has any."""
        text = self.text.removesuffix("\n")
        lines: Sequence[Cell] = self.paint(text) if self.paint else text.split("\n")
        numbered = list(enumerate(lines, 1))
        known = {number for number, _ in numbered}
        about: dict[int, list[str]] = {}
        for number, remark in self.remarks:
            about.setdefault(number if number in known else 0, []).append(remark)
        if 0 in about:
            numbered.insert(0, (0, ""))
        return [(number, line, about.get(number, [])) for number, line in numbered]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What became of one text in another: the lines that changed, with those around
    them. Finding them can take the square of the lines, so there is a limit."""

    template: ClassVar[str] = "console/panels/difference.html"
    AROUND: ClassVar[int] = 3
    MOST: ClassVar[int] = 2_000

    title: str
    before: str
    after: str

    @property
    def empty(self) -> str:
        """What stands there without lines."""
        if self.is_too_long:
            return f"The texts have more than {self.MOST:,} lines to compare."
        return "The text is the same."

    @property
    def is_too_long(self) -> bool:
        return max(text.count("\n") for text in (self.before, self.after)) > self.MOST

    @property
    def lines(self) -> list[tuple[str, int | str, int | str, str]]:
        """("added", "removed", "kept" or "gap", both line numbers, line)."""
        if self.is_too_long:
            return []
        old, new = self.before.splitlines(), self.after.splitlines()
        matcher = SequenceMatcher(None, old, new)
        found: list[tuple[str, int | str, int | str, str]] = []
        for group in matcher.get_grouped_opcodes(self.AROUND):
            if found:
                found.append(("gap", "", "", ""))
            for kind, i1, i2, j1, j2 in group:
                if kind == "equal":
                    pairs = zip(range(i1, i2), range(j1, j2), strict=True)
                    found += [("kept", i + 1, j + 1, old[i]) for i, j in pairs]
                    continue
                found += [("removed", i + 1, "", old[i]) for i in range(i1, i2)]
                found += [("added", "", j + 1, new[j]) for j in range(j1, j2)]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Entries of the audit timeline; ``more`` leads to all of them."""

    template: ClassVar[str] = "console/panels/story.html"

    title: str
    entries: Sequence[Entry]
    more: Cell = ""


Panel = Table | Facts | Pictures | Links | Source | Difference | Story
