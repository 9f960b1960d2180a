"""The verbs of evidence that people use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import connection, transaction

from audit import nudge
from audit.errors import OutboxEventNotParked
from audit.events import ListExported, ParkedEventsRequeued
from audit.models import OutboxEvent
from audit.record import record
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise


@transaction.atomic
def record_export(
    actor: Actor,
    *,
    zone_id: str | None,
    listing: str,
    form: str,
    asked: Mapping[str, str],
) -> None:
    """Leaves one row about a list that is about to leave as a file."""
    exported = ListExported(zone_id=zone_id, entity_id=listing, form=form, asked=asked)
    record(actor, exported)


@transaction.atomic
def requeue_parked(
    ids: Iterable[str], *, actor: Actor, reason: str
) -> list[OutboxEvent]:
    """Queues parked news again, behind what its zone has announced since.

    All or nothing: raises OutboxEventNotParked when one of ``ids`` is not a parked
    row the actor may see.
    """
    wanted = set(ids)
    parked = OutboxEvent.objects.parked().filter(id__in=wanted)
    if not actor.is_global:
        parked = parked.filter(zone_id=actor.zone_id)
    authorise(actor, zone_id=actor.zone_id, writes=True)
    rows = list(parked.select_for_update().order_by("position"))
    if not rows or len(rows) != len(wanted):
        raise OutboxEventNotParked
    OutboxEvent.objects.filter(id__in=wanted).update(
        parked_at=None, attempts=0, last_error=None
    )
    zones = {row.zone_id for row in rows}
    event = ParkedEventsRequeued(
        zone_id=zones.pop() if len(zones) == 1 else None,
        entity_id=rows[0].id,
        outbox_ids=tuple(row.id for row in rows),
    )
    record(actor, event, reason=reason)
    connection.on_commit(nudge.publisher, robust=True)
    return rows
