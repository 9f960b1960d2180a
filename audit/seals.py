"""The sealing job: gives audit rows their place in the chain of their zone.

Requests only insert; this job, one run at a time on the whole platform, numbers and
links what has been committed since, in order of ``position``. A row whose transaction
took longer than its neighbours' is linked when it appears. After each run the new heads
are published to Redis, out of reach of whoever can only write to the database:
``verify_audit`` finds there what the end of each chain must contain.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import redis
from django.conf import settings
from django.db import transaction

from audit import chain
from audit.keys import audit_key, known_keys
from caracal_site import locks, statements
from caracal_site.jobs import Outcome
from caracal_site.locks import LockClass
from caracal_site.sealing import same

RUN_SECONDS = 20.0
HEADS_KEY = "caracal:audit:heads"
EVERY_CHAIN = "every chain"

log = logging.getLogger(__name__)
Heads = dict[str | None, chain.Link]


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain as it was published."""

    seq: int
    content: str


def seal(client: redis.Redis, *, seconds: float = RUN_SECONDS) -> Outcome:
    """Seals until nothing is left or ``seconds`` have passed.

    Does nothing when another run is at it. Heads are published as far as Redis is
    there; sealing does not wait for it.
    """
    until = time.monotonic() + seconds
    limit = settings.AUDIT_SEAL_BATCH_SIZE
    handled, heads = 0, Heads()
    with locks.held(LockClass.AUDIT_SEAL, EVERY_CHAIN) as is_mine:
        if not is_mine:
            return Outcome()
        while time.monotonic() < until:
            sealed = _seal_batch(limit, heads)
            handled += sealed
            if sealed < limit:
                break
        if heads:
            _publish(client, heads)
    return Outcome(handled)


def content_of(values: tuple[Any, ...]) -> chain.Content:
    """The hashed content of a stored row, given in the order of ``audit/unsealed``."""
    *start, payload, occurred_at = values
    return chain.Content._make((*start, chain.canonical_payload(payload), occurred_at))


@transaction.atomic(durable=True)
def _seal_batch(limit: int, heads: Heads) -> int:
    """Links one batch after ``heads``, which move along. Returns how many rows."""
    rows = [
        content_of(row)
        for row in statements.fetch_all("audit/unsealed", {"limit": limit})
    ]
    if not rows:
        return 0
    zones = {row.zone_id for row in rows if row.zone_id is not None}
    found = statements.fetch_all("audit/chain_heads", {"zones": list(zones)})
    ends: Heads = {
        zone_id: chain.Link(seq, content, None, None) for zone_id, seq, content in found
    }
    key = audit_key()
    links = []
    for row in rows:
        link = chain.following(ends.get(row.zone_id), row, key)
        ends[row.zone_id] = heads[row.zone_id] = link
        links.append(link)
    return statements.execute(
        "audit/seal",
        {
            "ids": [row.id for row in rows],
            "seqs": [link.seq for link in links],
            "contents": [link.content for link in links],
            "previous": [link.previous for link in links],
            "macs": [link.mac for link in links],
        },
    )


def _publish(client: redis.Redis, heads: Mapping[str | None, chain.Link]) -> None:
    key = audit_key()
    if not key:
        return
    published = {
        zone_id or "": orjson.dumps(
            [
                head.seq,
                head.content,
                chain.head_hmac(zone_id, head.seq, head.content, key),
            ]
        )
        for zone_id, head in heads.items()
    }
    try:
        client.hset(HEADS_KEY, mapping=published)  # type: ignore[arg-type]
    except redis.RedisError as error:
        log.warning("chain heads not published", extra={"error": str(error)})


def published_heads(client: redis.Redis) -> dict[str | None, Head]:
    """The heads Redis knows, by zone, forged ones left out. Raises RedisError."""
    keys = [key for key in known_keys() if key]
    found: dict[str | None, Head] = {}
    raw: dict[bytes, bytes] = client.hgetall(HEADS_KEY)  # type: ignore[assignment]
    for name, text in raw.items():
        zone_id = name.decode() or None
        seq, content, mac = orjson.loads(text)
        made = (chain.head_hmac(zone_id, seq, content, key) for key in keys)
        if any(same(str(mac), one) for one in made):
            found[zone_id] = Head(seq, content)
    return found
