"""Delegation edges on the Management API: to look at; the coordinator makes them."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.items import item
from caracal_site.api.pagination import Listing
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

# Ids ascend with creation; the table is too busy for an index on the time.
DELEGATIONS = Listing(
    name="delegations",
    columns=COLUMNS,
    orders={"created_at": "id"},
    filterset=DelegationFilter,
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

    model = "delegations.delegationedge"

    @described(
        "List delegations",
        answer=DelegationShape,
        listing=DELEGATIONS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(DelegationEdge.objects.in_zone(zone_id), DELEGATIONS)

    @described(
        "Get a delegation", answer=DelegationShape, refusals=(400, 404), tagged=True
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        edge = DelegationEdge.objects.in_zone(zone_id).filter(id=id)
        row = edge.values(*COLUMNS).first()
        if row is None:
            raise DelegationNotFound
        return item(request, row, version=row["edge_version"])
