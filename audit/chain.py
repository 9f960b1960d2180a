"""The hash chain of the admin audit trail: pure functions (contract: 3.3).

One chain a zone, and one for what belongs to no zone. Each link commits to its row and,
by the keyed ``chain_hmac``, to its predecessor, so without the key no row can be
altered, moved or taken out unnoticed. The payload is hashed as canonical JSON (compact,
keys sorted), because the database keeps no key order. Values are divided by the byte
0x1F; that byte inside a value is written as ``\\u001f``, so that nothing can move from
one column to the next under the same hash.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson

from caracal_site.times import to_wire

DIVIDER = "\x1f"
ESCAPED_DIVIDER = "\\u001f"


class Content(NamedTuple):
    """What a link commits to, in the order it is hashed."""

    id: str
    request_id: str
    actor_id: str | None
    actor_name: str | None
    actor_scope: str | None
    action: str
    method: str
    path: str
    zone_id: str | None
    entity_type: str | None
    entity_id: str | None
    status_code: int
    payload: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A row's place in its chain. ``previous`` is None for the first row and ``mac``
    None without a key."""

    seq: int
    content: str
    previous: str | None
    mac: str | None


def content_sha256(row: Content) -> str:
    """Lower-hex SHA-256 over the row's values, null as empty, each followed by 0x1F."""
    values = (*row[:-1], to_wire(row.occurred_at))
    parts = ("" if value is None else str(value) for value in values)
    message = "".join(
        part.replace(DIVIDER, ESCAPED_DIVIDER) + DIVIDER for part in parts
    )
    return hashlib.sha256(message.encode()).hexdigest()


def chain_hmac(content: str, previous: str | None, key: bytes) -> str | None:
    """Lower-hex HMAC-SHA-256 of ``content|previous``; None without a key."""
    if not key:
        return None
    message = f"{content}|{previous or ''}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def canonical_payload(text: str | None) -> str | None:
    """The stored JSON text as it is hashed: compact, keys sorted at every depth."""
    if text is None:
        return None
    return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()


def following(head: Link | None, row: Content, key: bytes) -> Link:
    """The link of ``row`` right after ``head``; None as head begins the chain."""
    content = content_sha256(row)
    previous = head.content if head else None
    seq = head.seq + 1 if head else 1
    return Link(seq, content, previous, chain_hmac(content, previous, key))


def head_hmac(zone_id: str | None, seq: int, content: str, key: bytes) -> str:
    """What signs a published head: it can be neither made up nor given to another
    chain. The key is the chain's; the first value keeps the two uses apart."""
    message = DIVIDER.join(("head", zone_id or "", str(seq), content)).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()
