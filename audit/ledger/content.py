"""The hash chain of the ledger: pure functions (contract: audit-and-events.md 4.6)."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import NamedTuple

DIVIDER = "\x1f"
ESCAPED_DIVIDER = "\\u001f"
NO_JSON = "null"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """What a link commits to, in the order it is hashed. JSON is the database's own
    text of it: keys by length and then bytewise, a space after each colon and comma."""

    id: str
    zone_id: str
    event_type: str
    request_id: str | None
    decision: str | None
    policy_set_id: str | None
    policy_set_version_id: str | None
    manifest_sha: str | None
    evaluation_status: str | None
    determining_policies_json: str | None
    diagnostics_json: str | None
    metadata_json: str | None
    occurred_at: datetime


def message(row: Row) -> bytes:
    """The hashed bytes; ``audit/sql/ledger_message.sql`` makes the same of a row."""
    texts = [_escaped(value) for value in row[:9]]
    texts += [NO_JSON if value is None else str(value) for value in row[9:12]]
    since = row.occurred_at.astimezone(UTC) - EPOCH
    microseconds = (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds
    parts = [*texts, str(microseconds * 1000)]
    return DIVIDER.join(parts).encode()


def _escaped(value: object) -> str:
    return "" if value is None else str(value).replace(DIVIDER, ESCAPED_DIVIDER)


def content_of(hashed: bytes) -> bytes:
    """The SHA-256 that a link carries."""
    return hashlib.sha256(hashed).digest()


def mac_of(content: bytes, previous: bytes | None, key: bytes) -> bytes | None:
    """The HMAC-SHA-256 of ``content|previous`` as hex text; None without a key."""
    if not key:
        return None
    text = f"{content.hex()}|{previous.hex() if previous else ''}".encode()
    return hmac.digest(key, text, "sha256")
