"""The lifecycle relay: the platform's own reader of what it tells of agents.

Consumers act on these entries, so what else is written into the stream matters to all
of them. The relay reads as they do: it checks who signed an entry, takes each event
once, counts and reports what it finds. Nothing depends on it: what follows from an
event is done in the transaction that records it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import redis
from django.conf import settings

from agents.events import LIFECYCLE
from audit import streams
from audit.consuming import Entry, Group
from caracal_site import locks
from caracal_site.jobs import Outcome
from caracal_site.locks import LockClass

GROUP = "coordinator-relay"
RELAY = "lifecycle relay"
DEDUPE = "coordinator:relay_dedupe:"
BATCH = 500
RUN_SECONDS = 20.0
NAMED = 10

log = logging.getLogger(__name__)


def relay(client: redis.Redis, *, seconds: float = RUN_SECONDS) -> Outcome:
    """Reads what is in the stream, for ``seconds`` at most; one run at a time does.

    An entry is acknowledged once it was judged, so one that a killed run had read is
    judged again. When Redis goes away on the way, what was counted until then counts.
    """
    until = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    error = ""
    with locks.held(LockClass.JOB, RELAY) as is_mine:
        if not is_mine:
            return Outcome()
        try:
            _read(client, until, counts)
        except redis.RedisError as outage:
            error = f"{type(outage).__name__}: {outage}"
    forged = counts["invalid_signatures"]
    if forged:
        found = f"entries of {LIFECYCLE} not signed by this platform: {forged}"
        error = "; ".join(filter(None, (found, error)))
    return Outcome(counts.total(), error=error, counts=dict(counts))


def _read(client: redis.Redis, until: float, counts: Counter[str]) -> None:
    group = Group(LIFECYCLE, GROUP, settings.RELAY_CONSUMER_NAME, BATCH)
    trimmed = group.adopt(client, idle_seconds=settings.RELAY_CLAIM_IDLE_SEC)
    counts["trimmed"] += trimmed
    for entries in group.batches(client, until):
        judged = _judged(client, entries)
        client.xack(LIFECYCLE, GROUP, *(entry.source_id for entry in entries))
        counts.update(judged)


def _judged(client: redis.Redis, entries: Sequence[Entry]) -> Counter[str]:
    """How many of ``entries`` are what."""
    # One that was trimmed away before it was judged says nothing any more.
    present = [entry for entry in entries if entry.fields]
    sound: list[Entry] = []
    forged: list[Entry] = []
    for entry in present:
        (sound if _is_ours(entry) else forged).append(entry)
    if forged:
        # Never what is in them, which anybody may have written.
        log.error(
            "entries of another origin in a signed stream",
            extra={
                "stream": LIFECYCLE,
                "number": len(forged),
                "entries": [entry.source_id for entry in forged[:NAMED]],
            },
        )
    fresh = _first_seen(client, sound)
    for entry in fresh:
        log.debug(
            "agent lifecycle",
            extra={
                name: entry.fields.get(name)
                for name in ("event", "zone_id", "agent_session_id", "outbox_id")
            },
        )
    return Counter(
        observed=len(fresh),
        duplicates=len(sound) - len(fresh),
        invalid_signatures=len(forged),
        trimmed=len(entries) - len(present),
    )


def _is_ours(entry: Entry) -> bool:
    """Whether the platform wrote the entry; without a key, in dev mode, all are."""
    key = bytes.fromhex(settings.STREAMS_HMAC_KEY)
    if not key:
        return bool(settings.CARACAL_MODE == "dev")
    return streams.verify(LIFECYCLE, entry.fields, key)


def _first_seen(client: redis.Redis, entries: Sequence[Entry]) -> list[Entry]:
    """Those of ``entries`` whose event did not come in another entry before."""
    if not entries:
        return []
    pipeline = client.pipeline(transaction=False)
    for entry in entries:
        pipeline.set(
            DEDUPE + _event_id(entry),
            entry.source_id,
            nx=True,
            get=True,
            ex=settings.RELAY_DEDUPE_WINDOW_SEC,
        )
    known: list[Any] = pipeline.execute(raise_on_error=False)
    # Where Redis takes no more writes an event may be told twice, but not withheld.
    return [
        entry
        for entry, before in zip(entries, known, strict=True)
        if not isinstance(before, bytes) or before.decode() == entry.source_id
    ]


def _event_id(entry: Entry) -> str:
    return entry.fields.get(streams.OUTBOX_ID) or entry.source_id
