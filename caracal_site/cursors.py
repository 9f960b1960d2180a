"""Opaque list cursors: exact to the microsecond, bound to their list and filters.

A cursor is unpadded base64url of compact JSON. ``ts`` (when the list is ordered by
time) and ``id`` name the last row seen; ``f`` is a fingerprint of the list and its
filters, so that a cursor cannot continue another question. Cursors without ``f``, as
clients of the contract may build, are taken at face value.
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

MAX_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the last row's time (None for id-ordered lists) and id."""

    id: str
    at: datetime | None = None


def fingerprint(listing: str, filters: Mapping[str, Any]) -> str:
    """Eight hex digits that name a list together with its filters."""
    question = orjson.dumps([listing, sorted(filters.items())], default=str)
    return hashlib.sha256(question).hexdigest()[:8]


def encode(position: Position, bound_to: str) -> str:
    members: dict[str, str] = {}
    if position.at is not None:
        members["ts"] = position.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    members |= {"id": position.id, "f": bound_to}
    return base64.urlsafe_b64encode(orjson.dumps(members)).rstrip(b"=").decode()


def decode(text: str, bound_to: str, *, timed: bool) -> Position:
    """The position ``text`` names. Raises InvalidCursor for what is not issued here."""
    try:
        if not 0 < len(text) <= MAX_LENGTH:
            raise ValueError("length")
        raw = base64.b64decode(
            text + "=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        members = orjson.loads(raw)
        if not isinstance(members, dict) or not set(members) <= {"ts", "id", "f"}:
            raise ValueError("members")
        row_id = members["id"]
        if not isinstance(row_id, str) or not is_id(row_id):
            raise ValueError("id")
        if members.get("f", bound_to) != bound_to or timed != ("ts" in members):
            raise ValueError("another list")
        return Position(row_id, from_wire(members["ts"]) if timed else None)
    except (ValueError, KeyError, TypeError, binascii.Error, UnicodeEncodeError):
        raise InvalidCursor from None
