"""The evidence of a zone on the Management API: read, never changed."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from audit.api import shapes
from audit.filters import AdminAuditFilter, AuditEventFilter
from audit.models import AdminAuditEvent, AuditEvent
from caracal_site.api.pagination import Listing
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet

DECISIONS = Listing(
    name="audit",
    columns=shapes.DECISION,
    shown=(*shapes.DECISION, "ingested_at"),
    shape=shapes.decision,
    orders={"occurred_at": "occurred_at"},
    filterset=AuditEventFilter,
    envelope=shapes.rows_of,
    default_limit=shapes.DEFAULT_LIMIT,
    max_limit=shapes.MAX_LIMIT,
)
CHANGES = Listing(
    name="admin-audit",
    columns=shapes.CHANGE,
    shown=shapes.CHANGE_MEMBERS,
    shape=shapes.change,
    derived={"changed_fields": shapes.changed_fields},
    orders={"occurred_at": "occurred_at"},
    filterset=AdminAuditFilter,
    envelope=shapes.rows_of,
    default_limit=shapes.DEFAULT_LIMIT,
    max_limit=shapes.MAX_LIMIT,
)


class AuditEventsViewSet(ZoneScopedViewSet):
    """The ledger: what was allowed or denied in the zone, newest first."""

    model = "audit.auditevent"

    @described(
        "List decisions",
        answer=shapes.DecisionsShape,
        listing=DECISIONS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(AuditEvent.objects.filter(zone_id=zone_id), DECISIONS)


class AdminAuditViewSet(ZoneScopedViewSet):
    """The admin audit trail: who changed or tried what in the zone, newest first."""

    model = "audit.adminauditevent"

    @described(
        "List changes",
        answer=shapes.ChangesShape,
        listing=CHANGES,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(AdminAuditEvent.objects.in_zone(zone_id), CHANGES)
