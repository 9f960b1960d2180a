"""The evidence of a zone on the Management API: read, never changed."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from audit.api import shapes
from audit.filters import AdminAuditFilter, AuditEventFilter
from audit.models import AdminAuditEvent, AuditEvent
from caracal_site.api.pagination import read_page
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet


class AuditEventsViewSet(ZoneScopedViewSet):
    """The ledger: what was allowed or denied in the zone, newest first."""

    @described(
        "List decisions",
        answer=shapes.DecisionsShape,
        refusals=(400, 404),
        parameters=shapes.parameters_of(AuditEventFilter),
    )
    def list(self, request: Request, zone_id: str) -> Response:
        page = read_page(
            AuditEvent.objects.filter(zone_id=zone_id).values(*shapes.DECISION),
            path=request.path,
            query=request.GET,
            filterset=AuditEventFilter,
            time_field="occurred_at",
            default=shapes.DEFAULT_LIMIT,
            maximum=shapes.MAX_LIMIT,
        )
        return Response(shapes.rows_of(page, shapes.decision))


class AdminAuditViewSet(ZoneScopedViewSet):
    """The admin audit trail: who changed or tried what in the zone, newest first."""

    @described(
        "List changes",
        answer=shapes.ChangesShape,
        refusals=(400, 404),
        parameters=shapes.parameters_of(AdminAuditFilter),
    )
    def list(self, request: Request, zone_id: str) -> Response:
        page = read_page(
            AdminAuditEvent.objects.in_zone(zone_id).values(*shapes.CHANGE),
            path=request.path,
            query=request.GET,
            filterset=AdminAuditFilter,
            time_field="occurred_at",
            default=shapes.DEFAULT_LIMIT,
            maximum=shapes.MAX_LIMIT,
        )
        return Response(shapes.rows_of(page, shapes.change))
