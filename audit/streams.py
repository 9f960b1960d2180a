"""Stream entries and their signature, byte for byte as existing consumers verify them.

Contract: audit-and-events.md 7 and 8, coordinator.md 11.1. Everything here is pure:
no database, no Redis, no settings.

Beyond the contract every entry carries ``zone_seq``, the dense sequence number of the
event in its zone, so that a consumer sees a gap. And because the signed text is
divided by line feeds without escaping, a line feed inside a value is published as a
space: no value can pass for further signed fields.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

SIGNATURE = "_sig"
OUTBOX_ID = "outbox_id"
DEDUPE_KEY = "dedupe_key"
ZONE_SEQ = "zone_seq"
OWN_FIELDS = frozenset({OUTBOX_ID, DEDUPE_KEY, ZONE_SEQ, SIGNATURE})
FIELD_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
SIGNATURE_TEXT = re.compile(r"[0-9a-fA-F]{64}\Z")

Fields = list[tuple[str, str]]


class Unencodable(ValueError):
    """The row is no event that could ever be published; a person has to look at it."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """What the publisher reads of a pending row; ``payload`` is its JSON text."""

    id: str
    zone_id: str
    producer: str
    topic: str
    dedupe_key: str | None
    payload: str
    position: int = 0
    zone_seq: int | None = None


def stream_fields(row: OutboxRow) -> Fields:
    """The fields of the row's entry, without ``zone_seq`` and signature.

    A ``coordinator`` row leads with ``outbox_id`` and ``dedupe_key`` and publishes
    null as the text ``null``; an ``api`` row leads with ``outbox_id`` and omits
    nulls. Text goes out as it is, everything else as compact JSON. Raises Unencodable.
    """
    if not FIELD_NAME.match(row.topic):
        raise Unencodable(f"{row.topic!r} is not a stream name")
    payload = _payload_of(row)
    fields: Fields = [(OUTBOX_ID, row.id)]
    keeps_nulls = row.producer == "coordinator"
    if keeps_nulls:
        fields.append((DEDUPE_KEY, row.dedupe_key or row.id))
    for name, value in payload.items():
        if name in OWN_FIELDS or (value is None and not keeps_nulls):
            continue
        if not FIELD_NAME.match(name):
            raise Unencodable(f"{name!r} is not a field name")
        fields.append((name, _text(value)))
    return fields


def numbered(fields: Fields, zone_seq: int) -> Fields:
    """``fields`` with the event's number in its zone."""
    return [*fields, (ZONE_SEQ, str(zone_seq))]


def signed(stream: str, fields: Fields, key: bytes) -> Fields:
    """``fields`` with their signature."""
    return [*fields, (SIGNATURE, sign(stream, fields, key))]


def canonical(stream: str, fields: Iterable[tuple[str, str | None]]) -> bytes:
    """The signed text: the stream, then every field but ``_sig`` in order of name."""
    present = {name: value for name, value in fields if value is not None}
    present.pop(SIGNATURE, None)
    lines = [stream, *(f"{name}={present[name]}" for name in sorted(present))]
    return ("\n".join(lines) + "\n").encode()


def sign(stream: str, fields: Iterable[tuple[str, str | None]], key: bytes) -> str:
    """Lower-hex HMAC-SHA-256 of the canonical text; absent values are skipped."""
    return hmac.new(key, canonical(stream, fields), hashlib.sha256).hexdigest()


def verify(stream: str, fields: Mapping[str, str], key: bytes) -> bool:
    """Whether ``fields``, read from ``stream``, carry their own signature."""
    found = fields.get(SIGNATURE, "")
    if not SIGNATURE_TEXT.match(found):
        return False
    return hmac.compare_digest(sign(stream, fields.items(), key), found.lower())


def _payload_of(row: OutboxRow) -> dict[str, Any]:
    try:
        payload = orjson.loads(row.payload)
    except orjson.JSONDecodeError as error:
        raise Unencodable(f"the payload cannot be read: {error}") from None
    if not isinstance(payload, dict):
        raise Unencodable("the payload is not an object")
    return payload


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text.replace("\n", " ")
