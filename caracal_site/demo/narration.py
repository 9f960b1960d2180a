"""How the story is printed: numbered steps, requests with their answers, checks."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.management.color import Style

SECRET_MEMBERS = frozenset({"access_token", "client_secret", "token"})
SHOWN_OF_A_SECRET = 9
WIDTH = 88
INDENT = "   "


class ItDidNotHappen(Exception):
    """What the story promised did not come true; ends it."""


class Narrator:
    """Prints the story. Ids that have got a name are shown by it, secrets shortened."""

    def __init__(self, out: OutputWrapper, style: Style) -> None:
        self._out = out
        self._style = style
        self._names: dict[str, str] = {}
        self.step = 0
        self.title = ""

    def call(self, id_: str, name: str) -> None:
        """From now on ``id_`` is shown as ``<name>``."""
        self._names[id_] = f"<{name}>"

    def named(self, value: Any) -> str:
        """``value`` as text, with names for ids."""
        text = (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        )
        for id_, name in self._names.items():
            text = text.replace(id_, name)
        return text

    def begin(self, title: str, explanation: str = "") -> None:
        """The next step."""
        self.step += 1
        self.title = title
        heading = self._style.MIGRATE_HEADING(f"{self.step:>2} {title}")
        self._out.write(f"\n{heading}")
        self.say(explanation)

    def say(self, text: str) -> None:
        if text:
            self._out.write(_wrapped(text, INDENT))

    def exchange(
        self, line: str, body: Any, status: int, answer: Mapping[str, Any]
    ) -> None:
        """A request and what is essential of its answer."""
        self._out.write(f"{INDENT}{self._style.SQL_KEYWORD(self.named(line))}")
        if body:
            sent = self.named(shortened(body))[1:-1].replace('"', "")
            self._out.write(_wrapped(sent, INDENT + "  "))
        colour = self._style.SUCCESS if status < 400 else self._style.WARNING
        told = ", ".join(
            f"{name}: {self.named(value)}" for name, value in shortened(answer).items()
        )
        text = _wrapped(told, INDENT + " " * 8).lstrip()
        self._out.write(f"{INDENT}  {colour(f'→ {status}')} {text}".rstrip())

    def check(self, is_true: bool, sentence: str, instead: str = "") -> None:
        """Raises ItDidNotHappen unless ``is_true``."""
        if not is_true:
            raise ItDidNotHappen(f"{sentence} (instead: {instead or 'it is not so'})")
        self._out.write(f"{INDENT}{self._style.SUCCESS('✓')} {self.named(sentence)}")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        shown = [[self.named(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        for row in shown:
            cells = zip(row, widths, strict=True)
            line = "  ".join(cell.ljust(width) for cell, width in cells)
            self._out.write(f"{INDENT}{line.rstrip()}")


def shortened(value: Any) -> Any:
    """``value`` with every secret cut down to how it begins."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: f"{member[:SHOWN_OF_A_SECRET]}…" if name in SECRET_MEMBERS else member
        for name, member in value.items()
    }


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
