"""Streams are as long as their slowest reader needs, up to a limit.

What every registered consumer group has read and acknowledged goes first, and nothing
else does while the stream is shorter than ``STREAMS_HARD_MAXLEN``, which the publisher
keeps to with each entry. Whoever makes a stream grow, or has lost entries by that, is
named in the run of the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings

from caracal_site.jobs import Outcome

EVENTS = "caracal.*"
# Streams of the ledger have rules of their own.
LEDGER = b"caracal.audit."
# A stream is trimmed by whole nodes of so many entries (stream-node-max-entries).
NODE = 100

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reader:
    """A consumer group: the first entry it needs, and the last it was given."""

    name: str
    needs: Place
    given: Place
    entries_read: int | None


def readers(client: redis.Redis, stream: bytes | str) -> list[Reader]:
    """The consumer groups that are registered at a stream."""
    found = []
    groups: Any = client.xinfo_groups(stream)
    for told in groups:
        waiting: Any = client.xpending(stream, told["name"])
        given = _place(told["last-delivered-id"])
        needs = _place(waiting["min"]) if waiting["pending"] else given
        name = told["name"].decode(errors="replace")
        found.append(Reader(name, needs, given, told.get("entries-read")))
    return found


def trim_behind(
    client: redis.Redis,
    stream: bytes | str,
    by: list[Reader],
    *,
    most: int | None = None,
) -> int:
    """Drops what all of the readers ``by`` have acknowledged, ``most`` of it where
    given; returns how many entries went. There must be a reader."""
    milliseconds, nth = min(reader.needs for reader in by)
    first = f"{milliseconds}-{nth}"
    gone: Any = client.xtrim(stream, minid=first, approximate=True, limit=most)
    return int(gone)


def trim(client: redis.Redis) -> Outcome:
    """Trims the streams of events to about ``STREAMS_MAXLEN``. The backlog is what is
    kept beyond for groups that have not read it. Raises RedisError."""
    trimmed = kept = 0
    alarms: list[str] = []
    for stream in _streams(client):
        by = readers(client, stream)
        trimmed += _trim(client, stream, by)
        told: Any = client.xinfo_stream(stream)
        beyond = told["length"] - settings.STREAMS_MAXLEN
        kept += beyond if beyond > NODE else 0
        alarms += _alarms(stream.decode(errors="replace"), told, by)
    return Outcome(trimmed, backlog=kept, error="; ".join(alarms))


def _streams(client: redis.Redis) -> Iterator[bytes]:
    for name in client.scan_iter(match=EVENTS, count=1_000, _type="stream"):
        if not name.startswith(LEDGER):
            yield name


def _trim(client: redis.Redis, stream: bytes, by: list[Reader]) -> int:
    most: int = settings.STREAMS_MAXLEN
    beyond = client.xlen(stream) - most
    if beyond <= 0:
        return 0
    if by:
        return trim_behind(client, stream, by, most=beyond)
    gone: Any = client.xtrim(stream, maxlen=most, approximate=True, limit=beyond)
    return int(gone)


def _alarms(name: str, told: dict[str, Any], by: list[Reader]) -> Iterator[str]:
    if not by:
        return
    slowest = min(by, key=lambda reader: reader.needs)
    if told["length"] * 2 >= settings.STREAMS_HARD_MAXLEN:
        yield f"{name} has {told['length']} entries: {slowest.name} is behind"
    if told["first-entry"] is None:
        return
    first, gone = _place(told["first-entry"][0]), told["entries-added"] - told["length"]
    for reader in by:
        # A group that was never given anything has missed nothing it once had.
        lost = gone - (reader.entries_read or gone)
        if (0, 0) < reader.given < first and lost > 0:
            yield f"{name}: {reader.name} has lost {lost} entries, refill from the feed"


def _place(stream_id: bytes) -> Place:
    milliseconds, _, nth = stream_id.decode().partition("-")
    return int(milliseconds), int(nth)
