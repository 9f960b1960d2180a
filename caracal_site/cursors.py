"""Opaque list cursors: exact to the microsecond, bound to their list and filters.

A cursor is unpadded base64url of compact JSON. ``id`` names the last row seen, with
the value the list is ordered by: ``ts`` a time, ``v`` a text; ``f`` is a fingerprint of
the list, its filters and order, so that a cursor cannot continue another question.
Cursors without ``f``, as clients of the contract may build, are taken at face value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from caracal_site.errors import InvalidCursor
from caracal_site.ids import is_id
from caracal_site.times import from_wire

# The longest text a list is ordered by has 512 characters, six bytes each at worst.
MAX_LENGTH = 4_608


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the last row's id, and the time or text it is ordered by
    (None for lists ordered by id alone)."""

    id: str
    at: datetime | None = None
    text: str | None = None


def fingerprint(listing: str, filters: Mapping[str, Any]) -> str:
    """Eight hex digits that name a list together with its filters."""
    question = orjson.dumps([listing, sorted(filters.items())], default=str)
    return hashlib.sha256(question).hexdigest()[:8]


def encode(position: Position, bound_to: str) -> str:
    members: dict[str, str] = {}
    if position.at is not None:
        members["ts"] = position.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if position.text is not None:
        members["v"] = position.text
    members |= {"id": position.id, "f": bound_to}
    return base64.urlsafe_b64encode(orjson.dumps(members)).rstrip(b"=").decode()


def decode(text: str, bound_to: str, *, timed: bool, worded: bool = False) -> Position:
    """The position ``text`` names, in a list ordered by a time, by a text, or neither.
    Raises InvalidCursor for what is not issued here."""
    try:
        if not 0 < len(text) <= MAX_LENGTH:
            raise ValueError("length")
        raw = base64.b64decode(
            text + "=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        members = orjson.loads(raw)
        expected = {"ts"} if timed else {"v"} if worded else set()
        if not isinstance(members, dict) or members.keys() - {"id", "f"} != expected:
            raise ValueError("members")
        row_id, word = members["id"], members.get("v", "")
        if not isinstance(row_id, str) or not is_id(row_id):
            raise ValueError("id")
        if not isinstance(word, str) or "\0" in word:
            raise ValueError("text")
        if members.get("f", bound_to) != bound_to:
            raise ValueError("another list")
        at = from_wire(members["ts"]) if timed else None
        return Position(row_id, at, word if worded else None)
    except (ValueError, KeyError, TypeError, binascii.Error, UnicodeEncodeError):
        raise InvalidCursor from None
