"""Timestamps as the wire has them: UTC, three fraction digits, ``Z``."""

from __future__ import annotations

import re
from datetime import UTC, datetime

WIRE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?Z\Z", re.ASCII
)
# As ``to_wire`` writes a time, in SQL.
WIRE_SQL = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


def to_wire(value: datetime | None) -> str | None:
    """``2026-05-01T12:00:00.123Z``; None stays None."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def stored_to_wire(text: str) -> str:
    """The same for a time as a database session in UTC writes it:
    ``2026-05-01 12:00:00.123456+00``, the fraction as short as it may be."""
    return f"{text[:10]}T{text[11:19]}.{text[20:-3]:0<3.3}Z"


def from_wire(text: str) -> datetime:
    """The moment ``text`` names. Only ``Z`` is accepted as zone.

    Raises ValueError for anything else, year 0000 included.
    """
    match = WIRE.match(text)
    if match is None:
        raise ValueError("not an ISO 8601 date-time ending in Z")
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    fraction = (match[7] or "").ljust(6, "0")[:6]
    return datetime(
        year, month, day, hour, minute, int(match[6] or 0), int(fraction), tzinfo=UTC
    )
