"""Small layered graphs as SVG: boxes in rows, arrows downwards. No script, no style.

Only geometry is computed here; colours are classes of the style sheet, so a drawing
follows the light or dark theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

BOX_WIDTH = 150
BOX_HEIGHT = 46
GAP_X = 16
GAP_Y = 58
MARGIN = 14
LABEL_LENGTH = 19
# Labels of arrows that meet in one box are spread along the arrow.
SPREAD = (0.5, 0.34, 0.66)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A box: two lines of text, where it leads, and a class for its looks."""

    key: str
    title: str
    detail: str = ""
    url: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """From one box down to another, with a few words and where they lead."""

    source: str
    target: str
    label: str = ""
    hint: str = ""
    url: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    node: Node
    x: int
    y: int

    @property
    def middle(self) -> int:
        return self.x + BOX_WIDTH // 2

    @property
    def bottom(self) -> int:
        return self.y + BOX_HEIGHT

    @property
    def title_y(self) -> int:
        return self.y + (19 if self.node.detail else 28)

    @property
    def detail_y(self) -> int:
        return self.y + 36


@dataclass(frozen=True, slots=True)
class Line:
    arrow: Arrow
    path: str
    label_x: int
    label_y: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished layout, for ``console/graph.svg``."""

    label: str
    width: int
    height: int
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def layered(
    label: str, rows: Sequence[Sequence[Node]], arrows: Sequence[Arrow]
) -> Drawing:
    """Lays ``rows`` out from the top down, each centred. Arrows whose ends are not
    drawn are left out."""
    rows = [row for row in rows if row]
    widest = max((_width(len(row)) for row in rows), default=BOX_WIDTH)
    placed: dict[str, Box] = {}
    for depth, row in enumerate(rows):
        left = MARGIN + (widest - _width(len(row))) // 2
        for place, node in enumerate(row):
            placed[node.key] = Box(
                node,
                left + place * (BOX_WIDTH + GAP_X),
                MARGIN + depth * (BOX_HEIGHT + GAP_Y),
            )
    drawn = [arrow for arrow in arrows if {arrow.source, arrow.target} <= placed.keys()]
    lines = [
        _line(arrow, placed[arrow.source], placed[arrow.target], SPREAD[place % 3])
        for place, arrow in enumerate(drawn)
    ]
    height = len(rows) * (BOX_HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN
    return Drawing(label, widest + 2 * MARGIN, height, list(placed.values()), lines)


def clipped(text: str, length: int = LABEL_LENGTH) -> str:
    """Text that fits into a box."""
    return (
        text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def _width(boxes: int) -> int:
    return boxes * (BOX_WIDTH + GAP_X) - GAP_X


def _line(arrow: Arrow, above: Box, below: Box, share: float) -> Line:
    start, end = (above.middle, above.bottom), (below.middle, below.y - 5)
    half = (start[1] + end[1]) // 2
    path = (
        f"M{start[0]} {start[1]} C{start[0]} {half} {end[0]} {half} {end[0]} {end[1]}"
    )
    return Line(
        arrow,
        path,
        round(start[0] + (end[0] - start[0]) * share),
        round(start[1] + (end[1] - start[1]) * share) + 4,
    )
