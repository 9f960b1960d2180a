"""Grants and connected accounts on the Management API."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.idempotency import once
from caracal_site.api.items import item
from caracal_site.api.pagination import Listing
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from policies.api import connecting, grant_serializers
from policies.api import grant_shapes as shapes
from policies.grants import errors, filters, services
from policies.grants.models import Grant, ProviderGrant
from policies.grants.querysets import GrantQuerySet, ProviderGrantQuerySet

BY_REQUEST = "revoked through the Management API"
TIMES = {"created_at": "created_at", "updated_at": "updated_at"}
SCOPES = frozenset({"scopes"})

GRANTS = Listing(
    name="grants",
    columns=shapes.LISTED_GRANT,
    shape=shapes.granted,
    joined=SCOPES,
    orders={**TIMES, "user_id": "user_id"},
    filterset=filters.GrantFilter,
)
PROVIDER_GRANTS = Listing(
    name="provider-grants",
    columns=shapes.LISTED_PROVIDER_GRANT,
    joined=SCOPES,
    orders={**TIMES, "user_id": "user_id"},
    filterset=filters.ProviderGrantFilter,
)


class GrantsViewSet(ZoneScopedViewSet):
    """Records of what users grant to applications."""

    model = "policies.grant"

    def rows(self) -> GrantQuerySet[Grant]:
        """Tokens of one zone see nothing about the control resource."""
        rows = Grant.objects.in_zone(self.zone.id)
        if self.actor.is_global:
            return rows
        return rows.exclude(resource__identifier=settings.CONTROL_AUDIENCE)

    @described(
        "List grants",
        answer=shapes.ListedGrantShape,
        listing=GRANTS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(self.rows().named(), GRANTS)

    @described(
        "Record a grant",
        body=grant_serializers.GrantCreateSerializer,
        answer=shapes.GrantShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
        tagged=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields = self.body(grant_serializers.GrantCreateSerializer)

        def perform() -> Response:
            made = services.create_grant(zone_id=zone_id, actor=self.actor, **fields)
            body = shapes.grant(made)
            return item(request, body, version=made.version, status=201)

        return once(request, perform)

    @described(
        "Get a grant", answer=shapes.GrantShape, refusals=(400, 404), tagged=True
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        found = self.rows().filter(id=id).first()
        if found is None:
            raise errors.GrantNotFound
        return item(request, shapes.grant(found), version=found.version)

    @described(
        "Revoke a grant, with what is done under it",
        status=204,
        refusals=(400, 404, 409),
        guarded=True,
        previews=shapes.GrantPreviewShape,
    )
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        asked = self.asked(zone_id)
        if not self.rows().filter(id=id).exists():
            raise errors.GrantNotFound
        if self.is_preview:
            revocation = services.preview_grant_revocation(id, **asked)
            return Response(shapes.preview(revocation))
        services.revoke_grant(id, reason=BY_REQUEST, **asked)
        return Response(status=204)


class ProviderGrantsViewSet(ZoneScopedViewSet):
    """The accounts users have connected at providers. No answer has a token in it."""

    model = "policies.providergrant"
    success_status: ClassVar = {"create": 201}

    @property
    def invalid_body(self) -> type[errors.InvalidBody]:  # type: ignore[override]
        """Each of the three bodies has an error of its own."""
        known = {
            "authorize": errors.InvalidProviderOAuthAuthorize,
            "revoke": errors.InvalidProviderGrantRevoke,
        }
        return known.get(self.action or "", errors.InvalidProviderGrant)

    def rows(self) -> ProviderGrantQuerySet[ProviderGrant]:
        return ProviderGrant.objects.in_zone(self.zone.id)

    @described(
        "List connected accounts",
        answer=shapes.ListedProviderGrantShape,
        listing=PROVIDER_GRANTS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(self.rows(), PROVIDER_GRANTS)

    @described(
        "Store the tokens of an account",
        body=grant_serializers.ProviderGrantCreateSerializer,
        answer=shapes.ProviderGrantShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
        tagged=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields = self.body(grant_serializers.ProviderGrantCreateSerializer)

        def perform() -> Response:
            stored = services.store_provider_grant(
                zone_id=zone_id, actor=self.actor, **fields
            )
            body = shapes.columns_of(stored, shapes.PROVIDER_GRANT)
            return item(request, body, version=stored.version, status=201)

        return once(request, perform)

    @described(
        "Get a connected account",
        answer=shapes.ListedProviderGrantShape,
        refusals=(400, 404),
        tagged=True,
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        columns = (*shapes.LISTED_PROVIDER_GRANT, "version")
        row = self.rows().filter(id=id).values(*columns).first()
        if row is None:
            raise errors.ProviderGrantNotFound
        return item(request, row, version=row.pop("version"))

    @described(
        "Begin to connect an account",
        body=grant_serializers.AuthorizeSerializer,
        answer=shapes.AuthorizationShape,
        refusals=(400, 404, 413, 415),
    )
    def authorize(self, request: Request, zone_id: str) -> Response:
        fields = self.body(grant_serializers.AuthorizeSerializer)
        begun = services.begin_authorization(
            zone_id=zone_id, actor=self.actor, **fields
        )
        answer = Response(
            {
                "authorization_url": connecting.start_url(zone_id, begun),
                "state": begun.state,
                "expires_at": begun.expires_at,
            }
        )
        # A browser that calls this itself may finish without being asked again.
        connecting.recognise(answer, zone_id, begun.state)
        return answer

    @described(
        "Disconnect an account and erase its tokens",
        body=grant_serializers.AccountSerializer,
        answer=shapes.ProviderGrantShape,
        refusals=(400, 404, 413, 415),
    )
    def revoke(self, request: Request, zone_id: str) -> Response:
        fields = self.body(grant_serializers.AccountSerializer)
        ended = services.revoke_provider_grant(
            zone_id=zone_id, actor=self.actor, reason=BY_REQUEST, **fields
        )
        return Response(shapes.columns_of(ended, shapes.PROVIDER_GRANT))
