"""What a zone has published, in the order of its numbers, for whoever asks again.

The rows of the outbox are the feed: numbered when they are published, kept for
``OUTBOX_RETENTION_DAYS``. A page never skips a number in silence: where rows have been
deleted it ends, and what follows is refused as expired.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from django.conf import settings

from audit import streams
from audit.errors import EventsAhead, EventsExpired
from caracal_site import statements
from caracal_site.actors import Actor
from tokens.bearer import caller_parameters, refuse_dead_caller


@dataclass(frozen=True, slots=True)
class Published:
    """An event as its stream has it: ``entry`` holds the same fields, signed."""

    zone_seq: int
    topic: str
    published_at: datetime
    entry: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "zone_seq": self.zone_seq,
            "topic": self.topic,
            "published_at": self.published_at,
            "entry": self.entry,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Some events of a zone. All that the caller may see up to ``reached`` has been
    told; ``is_full`` when there may be more now. ``last_seq`` is the zone's last."""

    events: list[Published]
    reached: int
    last_seq: int
    is_full: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "items": [event.as_json() for event in self.events],
            "next_after": self.reached,
            "last_seq": self.last_seq,
        }


def page(actor: Actor, *, zone_id: str, after: int | None, limit: int) -> Page:
    """What the zone has published after number ``after`` and the caller may see, out
    of the next ``limit`` events; without ``after``, out of the oldest kept.

    Raises EventsExpired when the next event is no longer kept, EventsAhead for a
    number that is not given yet.
    """
    asked = {
        **caller_parameters(actor),
        "zone_id": zone_id,
        "sees_all": actor.sees_whole_zone,
        "after": after,
        "limit": limit,
    }
    rows = statements.fetch_all("audit/feed", asked)
    zone_live, identity_live, agent_live, last_seq, arrived, start = rows[0][:6]
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if start > last_seq:
        raise EventsAhead(last_seq=last_seq)
    found = [row[6:] for row in rows if row[6] is not None]
    dense = [
        row
        for _, row in takewhile(
            lambda pair: pair[1][6] == pair[0], enumerate(found, start + 1)
        )
    ]
    if not dense and (found or start < arrived):
        oldest = found[0][6] if found else arrived + 1
        raise EventsExpired(oldest_seq=oldest, last_seq=last_seq)
    return Page(
        events=[_published(zone_id, *row[:7]) for row in dense if row[7]],
        reached=start + len(dense),
        last_seq=last_seq,
        is_full=len(dense) == limit,
    )


def _published(
    zone_id: str,
    id_: str,
    producer: str,
    topic: str,
    dedupe_key: str | None,
    payload: str,
    published_at: datetime,
    zone_seq: int,
) -> Published:
    row = streams.OutboxRow(id_, zone_id, producer, topic, dedupe_key, payload)
    fields = streams.numbered(streams.stream_fields(row), zone_seq)
    key = bytes.fromhex(settings.STREAMS_HMAC_KEY)
    if key:
        fields = streams.signed(topic, fields, key)
    return Published(zone_seq, topic, published_at, dict(fields))
