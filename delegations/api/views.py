"""Delegation edges on the Management API: to look at; the coordinator makes them."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.pagination import page_of, page_response
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from delegations.errors import DelegationNotFound
from delegations.filters import DelegationFilter
from delegations.models import DelegationEdge

COLUMNS = (
    "id",
    "zone_id",
    "source_session_id",
    "target_session_id",
    "issuer_application_id",
    "receiver_application_id",
    "parent_edge_id",
    "root_edge_id",
    "depth",
    "max_hops",
    "resource_id",
    "scopes",
    "constraints_json",
    "status",
    "expires_at",
    "edge_version",
    "revoked_at",
    "revoked_reason",
    "created_at",
)


class DelegationShape(serializers.ModelSerializer):
    """An edge and its place in its lineage."""

    class Meta:
        model = DelegationEdge
        fields = COLUMNS
        extra_kwargs = {
            name: {"min_value": 0} for name in ("depth", "max_hops", "edge_version")
        }


class DelegationsViewSet(ZoneScopedViewSet):
    """The delegation edges of a zone."""

    @described(
        "List delegations",
        answer=DelegationShape,
        listing=True,
        filterset=DelegationFilter,
    )
    def list(self, request: Request, zone_id: str) -> Response:
        rows, headers = page_of(
            DelegationEdge.objects.in_zone(zone_id).values(*COLUMNS),
            path=request.path,
            query=request.GET,
            filterset=DelegationFilter,
            time_field=None,
        )
        return page_response(rows, headers)

    @described("Get a delegation", answer=DelegationShape, refusals=(400, 404))
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        edge = DelegationEdge.objects.in_zone(zone_id).filter(id=id)
        row = edge.values(*COLUMNS).first()
        if row is None:
            raise DelegationNotFound
        return Response(row)
