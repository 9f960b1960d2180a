"""Source with its strings, comments, numbers and names told apart, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from policies.examination.assembly import DOCUMENTS

_PART = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"?|`[^`]*`?)
      | (?P<number>-?\b[0-9][0-9.eE+-]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<other>[^\#"`A-Za-z0-9_]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset(("package", "import", "default", "contains", "if", "else", "not"))
_CONSTANTS = frozenset(("true", "false", "null"))


def painted(text: str) -> list[SafeString]:
    """Each line of ``text``, as HTML with a class for what is none of the ordinary."""
    lines: list[list[str]] = [[]]
    for kind, words in _parts(text):
        first, *others = words.split("\n")
        lines[-1].append(_piece(kind, first))
        lines.extend([_piece(kind, line)] for line in others)
    return [mark_safe("".join(line)) for line in lines]  # noqa: S308 - escaped pieces


def _parts(text: str) -> Iterator[tuple[str, str]]:
    for match in _PART.finditer(text):
        kind, words = match.lastgroup or "", match[0]
        if kind == "word":
            kind = _kind_of(words)
        yield kind, words


def _kind_of(word: str) -> str:
    if word in DOCUMENTS:
        return "name"
    if word in _KEYWORDS:
        return "keyword"
    return "number" if word in _CONSTANTS else "other"


def _piece(kind: str, words: str) -> str:
    if kind == "other" or not words:
        return escape(words)
    return format_html('<span class="is-{}">{}</span>', kind, words)
