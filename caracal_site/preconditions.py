"""Changes on a condition: ``If-Match`` and ``If-None-Match`` (RFC 9110, section 13).

An item's entity tag is its row's ``version``, which the database raises with every
update of the row: two changes in one transaction are two versions. A service checks
the condition when it has locked the row, so that of two changes made on one tag only
the first happens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from caracal_site.errors import InvalidPrecondition, PreconditionFailed

# Visible characters without the quote, and what HTTP calls obs-text.
ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
SEPARATOR = re.compile(r"[ \t]*,[ \t,]*")
BLANKS = " \t,"
ANY = "*"


def tag_of(version: int) -> str:
    """The strong entity tag of an item at ``version``."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class Tags:
    """The entity tags a header names; with ``has_any`` it names all there are."""

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    has_any: bool = False

    def match_strongly(self, tag: str) -> bool:
        """Whether the very representation is named: weak tags name none."""
        return self.has_any or tag in self.strong

    def match_weakly(self, tag: str) -> bool:
        """Whether the tag is named, be it as a weak one."""
        return self.match_strongly(tag) or tag in self.weak


def tags_in(header: str) -> Tags:
    """The tags of an ``If-Match`` or ``If-None-Match``. Raises InvalidPrecondition."""
    text = header.strip(BLANKS)
    if text == ANY:
        return Tags(has_any=True)
    named: tuple[set[str], set[str]] = (set(), set())
    position = 0
    while True:
        found = ENTITY_TAG.match(text, position)
        if found is None:
            raise InvalidPrecondition
        named[found[1] is not None].add(f'"{found[2]}"')
        if found.end() == len(text):
            return Tags(frozenset(named[False]), frozenset(named[True]))
        separator = SEPARATOR.match(text, found.end())
        if separator is None:
            raise InvalidPrecondition
        position = separator.end()


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a request wants to be true of the item it changes. The empty one asks
    nothing."""

    match: Tags | None = None
    none_match: Tags | None = None

    def check(self, version: int) -> None:
        """Raises PreconditionFailed when the item at ``version``, locked by the
        caller, is not what the request was made for."""
        tag = tag_of(version)
        if self.match is not None and not self.match.match_strongly(tag):
            raise PreconditionFailed(headers={"ETag": tag})
        if self.none_match is not None and self.none_match.match_weakly(tag):
            raise PreconditionFailed(headers={"ETag": tag})


UNCONDITIONAL = Precondition()


def precondition_of(header: Callable[[str], str | None]) -> Precondition:
    """The condition of a request that changes something."""
    match, none_match = header("If-Match"), header("If-None-Match")
    return Precondition(
        None if match is None else tags_in(match),
        None if none_match is None else tags_in(none_match),
    )


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Whether a reader that sends this ``If-None-Match`` has what ``tag`` names. One
    that cannot be understood names nothing."""
    if if_none_match is None:
        return False
    try:
        return tags_in(if_none_match).match_weakly(tag)
    except InvalidPrecondition:
        return False
