"""Zones, and the admin tokens of the platform, on the Management API."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.idempotency import once
from caracal_site.api.items import condition, item
from caracal_site.api.schema import described
from caracal_site.api.views import ApiViewSet, ZoneScopedViewSet
from zones import errors, services
from zones.api import listings, serializers, shapes
from zones.models import AdminToken, Zone
from zones.overview import overview_of

BY_REQUEST = "deleted through the Management API"


class ZonesViewSet(ApiViewSet):
    """All zones but the platform's own."""

    model = "zones.zone"
    invalid_body = errors.InvalidZone

    @described("List zones", answer=shapes.ZoneShape, listing=listings.ZONES)
    def list(self, request: Request) -> HttpResponseBase:
        zones = Zone.objects.tenants().of_account(self.actor.account_id)
        return self.listed(zones, listings.ZONES)

    @described(
        "Create a zone",
        body=serializers.ZoneCreateSerializer,
        answer=shapes.ZoneShape,
        status=201,
        refusals=(400, 409, 413, 415),
        once=True,
        tagged=True,
    )
    def create(self, request: Request) -> Response:
        fields = self.body(serializers.ZoneCreateSerializer)

        def perform() -> Response:
            zone = services.create_zone(fields.pop("name"), actor=self.actor, **fields)
            body = shapes.columns_of(zone, shapes.ZONE)
            return item(request, body, version=zone.version, status=201)

        return once(request, perform)


class ZoneViewSet(ZoneScopedViewSet):
    """One zone."""

    model = "zones.zone"
    invalid_body = errors.InvalidZone

    @described("Get a zone", answer=shapes.ZoneShape, refusals=(400, 404), tagged=True)
    def retrieve(self, request: Request, zone_id: str) -> Response:
        body = shapes.columns_of(self.zone, shapes.ZONE)
        return item(request, body, version=self.zone.version)

    @described(
        "Change a zone",
        body=serializers.ZoneChangeSerializer,
        answer=shapes.ZoneShape,
        refusals=(400, 404, 409, 413, 415),
        tagged=True,
        guarded=True,
    )
    def partial_update(self, request: Request, zone_id: str) -> Response:
        changes: Any = self.body(serializers.ZoneChangeSerializer)
        dcr_shutdown = changes.pop("dcr_shutdown", None)
        zone = services.change_zone(
            zone_id,
            actor=self.actor,
            changes=changes,
            dcr_shutdown=dcr_shutdown,
            if_match=condition(request),
        )
        body = shapes.columns_of(zone, shapes.ZONE)
        return item(request, body, version=zone.version)

    @described(
        "Archive a zone",
        status=204,
        refusals=(400, 404, 409),
        guarded=True,
        previews=shapes.PreviewShape,
    )
    def destroy(self, request: Request, zone_id: str) -> Response:
        asked: Any = {"actor": self.actor, "if_match": condition(request)}
        if self.is_preview:
            ended = services.preview_zone_archive(zone_id, **asked)
            return Response(shapes.preview(self.zone, ended))
        services.archive_zone(zone_id, reason="zone_archived", **asked)
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

    model = "zones.admintoken"

    invalid_body = errors.InvalidAdminTokenRequest
    invalid_params: ClassVar[type[errors.CaracalError]] = errors.InvalidAdminTokenId

    def check_route(self, request: Request) -> None:
        if self.action is not None:
            services.require_token_manager(self.actor)
        super().check_route(request)

    @described(
        "List admin tokens",
        answer=shapes.AdminTokenShape,
        listing=listings.ADMIN_TOKENS,
    )
    def list(self, request: Request) -> HttpResponseBase:
        return self.listed(AdminToken.objects.all(), listings.ADMIN_TOKENS)

    @described("Get an admin token", answer=shapes.AdminTokenShape, refusals=(400, 404))
    def retrieve(self, request: Request, id: str) -> Response:
        row = AdminToken.objects.filter(id=id).values(*shapes.ADMIN_TOKEN).first()
        if row is None:
            raise errors.AdminTokenNotFound
        return Response(shapes.admin_token(row))

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
