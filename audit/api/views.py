"""The evidence of a zone on the Management API: read, never changed."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit.api import cells, shapes
from audit.errors import RequestNotFound
from audit.filters import AdminAuditFilter, AuditEventFilter
from audit.models import AdminAuditEvent, AuditEvent
from caracal_site.api.errors import ZoneForbidden
from caracal_site.api.evidence import DEFAULT_LIMIT, MAX_LIMIT, rows_of
from caracal_site.api.pagination import Listing
from caracal_site.api.schema import described
from caracal_site.api.views import ApiViewSet, ZoneScopedViewSet

DECISIONS = Listing(
    name="audit",
    columns=shapes.DECISION,
    shown=(*shapes.DECISION, "ingested_at"),
    shape=shapes.decision,
    derived={name: shapes.of_metadata(name) for name in shapes.METADATA},
    tabular=shapes.DECISION_TABLE,
    written=cells.DECISIONS,
    orders={"occurred_at": "occurred_at"},
    filterset=AuditEventFilter,
    envelope=rows_of,
    default_limit=DEFAULT_LIMIT,
    max_limit=MAX_LIMIT,
)
CHANGES = Listing(
    name="admin-audit",
    columns=shapes.CHANGE,
    shown=shapes.CHANGE_MEMBERS,
    shape=shapes.change,
    derived={"changed_fields": shapes.changed_fields},
    tabular=shapes.CHANGE_TABLE,
    written=cells.CHANGES,
    orders={"occurred_at": "occurred_at"},
    filterset=AdminAuditFilter,
    envelope=rows_of,
    default_limit=DEFAULT_LIMIT,
    max_limit=MAX_LIMIT,
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


class DecidedRequestViewSet(ZoneScopedViewSet):
    """One request in the ledger: all that was decided about it, in order."""

    model = "audit.auditevent"

    @described(
        "List what was decided about a request",
        answer=shapes.DecidedShape,
        refusals=(404,),
    )
    def retrieve(self, request: Request, zone_id: str, request_id: str) -> Response:
        rows = decided(zone_id, request_id)
        return Response([shapes.decided(row) for row in rows])

    @described(
        "Explain what was decided about a request",
        answer=shapes.ExplanationShape,
        refusals=(404,),
    )
    def explain(self, request: Request, zone_id: str, request_id: str) -> Response:
        rows = decided(zone_id, request_id)
        return Response(shapes.explanation(zone_id, request_id, rows))


def decided(zone_id: str, request_id: str) -> list[dict[str, Any]]:
    """The first rows of the ledger about the request, oldest first. Raises
    RequestNotFound."""
    events = AuditEvent.objects.filter(zone_id=zone_id, request_id=request_id)
    rows = list(
        events.order_by("occurred_at", "id").values(*shapes.DECIDED)[:MAX_LIMIT]
    )
    if not rows:
        raise RequestNotFound
    return rows


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


class PlatformAuditViewSet(ApiViewSet):
    """The platform's own trail: what belongs to no zone, newest first."""

    model = "audit.adminauditevent"

    @extend_schema(operation_id="platform_audit_list")
    @described(
        "List changes of the platform", answer=shapes.ChangesShape, listing=CHANGES
    )
    def list(self, request: Request) -> HttpResponseBase:
        if self.actor.account_id is not None:
            raise ZoneForbidden
        return self.listed(AdminAuditEvent.objects.in_zone(None), CHANGES)
