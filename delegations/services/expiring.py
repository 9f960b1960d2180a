"""Edges reach their expiry: marked, announced, zone by zone."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from audit.events import Event
from audit.record import record
from caracal_site import actors, statements
from delegations.events import EdgesExpired
from delegations.models import DelegationEdge


@dataclass(frozen=True, slots=True)
class Batch:
    """How many edges of one zone one transaction expired."""

    zone_id: str
    edges: int


def expire_due_edges(limit: int = 500) -> int:
    """Marks every active edge past its expiry; returns how many."""
    expired = 0
    due = DelegationEdge.objects.filter(status="active", expires_at__lte=Now())
    for zone_id in due.values_list("zone_id", flat=True).distinct().order_by("zone_id"):
        while True:
            batch = expire_zone(zone_id, limit)
            expired += batch.edges
            if batch.edges < limit:
                break
    return expired


@transaction.atomic
def expire_zone(zone_id: str, limit: int) -> Batch:
    """One batch of one zone: locked, looked at again, marked, one epoch, one event."""
    due = DelegationEdge.objects.filter(
        zone_id=zone_id, status="active", expires_at__lte=Now()
    ).order_by("id")
    ids = list(
        due.select_for_update(skip_locked=True, no_key=True).values_list(
            "id", flat=True
        )[:limit]
    )
    if not ids:
        return Batch(zone_id, 0)
    DelegationEdge.objects.filter(id__in=ids).update(
        status="expired", edge_version=F("edge_version") + 1, updated_at=Now()
    )
    (epoch,) = statements.fetch_one("delegations/bump_epoch", {"zone_id": zone_id})
    events: list[Event] = [
        EdgesExpired(
            zone_id=zone_id,
            entity_id=ids[0],
            edge_ids=tuple(ids),
            epoch=int(str(epoch)),
        )
    ]
    record(actors.system("expire-edges"), events, reason="expired")
    return Batch(zone_id, len(ids))
