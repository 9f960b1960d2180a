"""Zones, and the admin tokens of the platform, on the Management API."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.idempotency import once
from caracal_site.api.pagination import page_of, page_response
from caracal_site.api.schema import described
from caracal_site.api.views import ApiViewSet, ZoneScopedViewSet
from zones import errors, services
from zones.api import serializers, shapes
from zones.filters import AdminTokenFilter, ZoneFilter
from zones.models import AdminToken, Zone
from zones.overview import overview_of

BY_REQUEST = "deleted through the Management API"


class ZonesViewSet(ApiViewSet):
    """All zones but the platform's own."""

    invalid_body = errors.InvalidZone

    @described(
        "List zones", answer=shapes.ZoneShape, listing=True, filterset=ZoneFilter
    )
    def list(self, request: Request) -> Response:
        rows, headers = page_of(
            Zone.objects.listed().values(*shapes.ZONE),
            path=request.path,
            query=request.GET,
            filterset=ZoneFilter,
        )
        return page_response(rows, headers)

    @described(
        "Create a zone",
        body=serializers.ZoneCreateSerializer,
        answer=shapes.ZoneShape,
        status=201,
        refusals=(400, 409, 413, 415),
        once=True,
    )
    def create(self, request: Request) -> Response:
        fields = self.body(serializers.ZoneCreateSerializer)

        def perform() -> Response:
            zone = services.create_zone(fields.pop("name"), actor=self.actor, **fields)
            return Response(shapes.columns_of(zone, shapes.ZONE), status=201)

        return once(request, perform)


class ZoneViewSet(ZoneScopedViewSet):
    """One zone."""

    invalid_body = errors.InvalidZone

    @described("Get a zone", answer=shapes.ZoneShape, refusals=(400, 404))
    def retrieve(self, request: Request, zone_id: str) -> Response:
        return Response(shapes.columns_of(self.zone, shapes.ZONE))

    @described(
        "Change a zone",
        body=serializers.ZoneChangeSerializer,
        answer=shapes.ZoneShape,
        refusals=(400, 404, 409, 413, 415),
    )
    def partial_update(self, request: Request, zone_id: str) -> Response:
        changes: Any = self.body(serializers.ZoneChangeSerializer)
        dcr_shutdown = changes.pop("dcr_shutdown", None)
        zone = services.change_zone(
            zone_id, actor=self.actor, changes=changes, dcr_shutdown=dcr_shutdown
        )
        return Response(shapes.columns_of(zone, shapes.ZONE))

    @described("Archive a zone", status=204, refusals=(400, 404, 409))
    def destroy(self, request: Request, zone_id: str) -> Response:
        services.archive_zone(zone_id, actor=self.actor, reason="zone_archived")
        return Response(status=204)

    @described(
        "How self-registration stands",
        answer=shapes.DcrStatusShape,
        refusals=(400, 404),
    )
    def dcr_status(self, request: Request, zone_id: str) -> Response:
        status = services.dcr_status(self.zone)
        return Response(
            {
                "id": zone_id,
                "dcr_enabled": status.dcr_enabled,
                "live_dcr_applications": status.live_applications,
            }
        )

    @described("A zone at a glance", answer=shapes.OverviewShape, refusals=(400, 404))
    def overview(self, request: Request, zone_id: str) -> Response:
        return Response(overview_of(zone_id))


class AdminTokensViewSet(ApiViewSet):
    """The bearer credentials of this API."""

    invalid_body = errors.InvalidAdminTokenRequest
    invalid_params: ClassVar[type[errors.CaracalError]] = errors.InvalidAdminTokenId

    def check_route(self, request: Request) -> None:
        if self.action in ("list", "create", "destroy"):
            services.require_token_manager(self.actor)
        super().check_route(request)

    @described(
        "List admin tokens",
        answer=shapes.AdminTokenShape,
        listing=True,
        filterset=AdminTokenFilter,
    )
    def list(self, request: Request) -> Response:
        rows, headers = page_of(
            AdminToken.objects.values(*shapes.ADMIN_TOKEN),
            path=request.path,
            query=request.GET,
            filterset=AdminTokenFilter,
        )
        return page_response(rows, headers)

    @described(
        "Mint an admin token",
        body=serializers.AdminTokenMintSerializer,
        answer=shapes.AdminTokenMintedShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
    )
    def create(self, request: Request) -> Response:
        fields = self.body(serializers.AdminTokenMintSerializer)

        def perform() -> Response:
            minted = services.mint_admin_token(
                fields.pop("name"), actor=self.actor, **fields
            )
            return Response(shapes.minted(minted), status=201)

        return once(request, perform)

    @described("Revoke an admin token", status=204, refusals=(400, 404))
    def destroy(self, request: Request, id: str) -> Response:
        services.revoke_admin_token(id, actor=self.actor, reason=BY_REQUEST)
        return Response(status=204)
