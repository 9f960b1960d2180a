"""``record``: the one way to leave evidence, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from audit import nudge
from audit.events import Event
from caracal_site import context, statements
from caracal_site.actors import Actor
from caracal_site.ids import new_id


class OutsideTransaction(RuntimeError):
    """Evidence must commit or vanish together with the change it is about."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Rows ready for ``audit/sql/evidence.sql``: two JSON arrays as text."""

    audit: str
    outbox: str
    has_news: bool

    def parameters(self) -> dict[str, object]:
        return {"evidence_audit": self.audit, "evidence_outbox": self.outbox}


def record(
    actor: Actor, events: Event | Sequence[Event], *, reason: str | None = None
) -> None:
    """Writes one audit row and the outbox rows of ``events``.

    ``events`` is what one gesture did. The first event is what the audit row is
    about; the others only announce. Raises OutsideTransaction outside a transaction.
    """
    evidence = prepare(actor, events, reason=reason)
    statements.execute("audit/record", evidence.parameters())
    written(evidence)


def written(evidence: Evidence) -> None:
    """Wakes the publisher once the running transaction has committed."""
    if evidence.has_news:
        connection.on_commit(nudge.publisher, robust=True)


def prepare(
    actor: Actor,
    events: Event | Sequence[Event],
    *,
    reason: str | None = None,
    is_one_statement: bool = False,
) -> Evidence:
    """The evidence of ``events`` as rows, for services that write everything in one
    statement: they include ``audit/evidence`` and call ``written`` after it ran.

    With ``is_one_statement`` that statement alone is the transaction.
    """
    if not (connection.in_atomic_block or is_one_statement):
        raise OutsideTransaction("evidence outside a transaction")
    several = [events] if isinstance(events, Event) else list(events)
    request = context.current()
    first = several[0]
    payload: dict[str, Any] = {"event": first.name, **first.summary()}
    if reason is not None:
        payload["reason"] = reason
    if actor.account_id is not None:
        payload["account_id"] = actor.account_id
    audit = {
        "id": new_id(),
        "request_id": request.request_id,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "actor_scope": actor.scope,
        "action": f"{request.method} {request.path}",
        "method": request.method,
        "path": request.path,
        "zone_id": first.zone_id,
        "entity_type": first.entity_type,
        "entity_id": first.entity_id,
        "status_code": request.status,
        "payload_json": payload,
    }
    outbox = list(_outbox_rows(several, request.request_id))
    return Evidence(
        orjson.dumps([audit]).decode(), orjson.dumps(outbox).decode(), bool(outbox)
    )


def _outbox_rows(events: Iterable[Event], request_id: str) -> Iterable[dict[str, Any]]:
    for event in events:
        for news in event.news():
            yield {
                "id": new_id(),
                "producer": news.producer,
                "zone_id": event.zone_id,
                "topic": news.topic,
                "dedupe_key": news.dedupe_key,
                "payload_json": news.payload,
                "request_id": request_id,
            }
