"""What lives in a zone, on the Management API: applications, providers, resources."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from caracal_site import rates
from caracal_site.api.idempotency import once
from caracal_site.api.pagination import page_of, page_response
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from caracal_site.errors import RateLimited
from zones import errors, services
from zones.api import serializers, shapes
from zones.filters import ApplicationFilter, ProviderFilter, ResourceFilter
from zones.models import Application, Provider, Resource

BY_REQUEST = "deleted through the Management API"
ROTATED_BY_REQUEST = "rotated through the Management API"


class ApplicationsViewSet(ZoneScopedViewSet):
    """Client identities with a secret."""

    invalid_body = errors.InvalidApplication
    success_status: ClassVar = {"create": 201, "register": 201, "destroy": 204}

    @property
    def seen(self) -> tuple[str, ...]:
        """The members the caller sees: traits are for tokens of all zones only."""
        if self.actor.is_global:
            return shapes.APPLICATION
        return shapes.APPLICATION_IN_ZONE

    def rows(self) -> QuerySet[Any, dict[str, Any]]:
        """Live applications as answered."""
        return Application.objects.in_zone(self.zone.id).live().values(*self.seen)

    @described(
        "List applications",
        answer=shapes.ApplicationShape,
        listing=True,
        filterset=ApplicationFilter,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> Response:
        rows, headers = page_of(
            self.rows(),
            path=request.path,
            query=request.GET,
            filterset=ApplicationFilter,
        )
        return page_response(rows, headers)

    @described(
        "Create a managed application",
        body=serializers.ApplicationCreateSerializer,
        answer=shapes.ApplicationIssuedShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields = self.body(serializers.ApplicationCreateSerializer)

        def perform() -> Response:
            made = services.create_application(
                fields["name"],
                zone_id=zone_id,
                actor=self.actor,
                traits=fields.get("traits", ()),
            )
            return Response(shapes.issued(made, self.seen), status=201)

        return once(request, perform)

    @described(
        "Register an application for a while",
        body=serializers.ApplicationRegisterSerializer,
        answer=shapes.ApplicationIssuedShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
    )
    def register(self, request: Request, zone_id: str) -> Response:
        fields = self.body(serializers.ApplicationRegisterSerializer)
        limit_registrations(zone_id, self.actor.id)

        def perform() -> Response:
            made = services.register_application(
                fields["name"],
                zone_id=zone_id,
                actor=self.actor,
                expires_in_seconds=fields["expires_in"],
            )
            return Response(shapes.issued(made, self.seen), status=201)

        return once(request, perform)

    @described(
        "Get an application", answer=shapes.ApplicationShape, refusals=(400, 404)
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        row = self.rows().filter(id=id).first()
        if row is None:
            raise errors.ApplicationNotFound
        return Response(row)

    @described(
        "Change an application",
        body=serializers.ApplicationChangeSerializer,
        answer=shapes.ApplicationShape,
        refusals=(400, 404, 409, 413, 415),
    )
    def partial_update(self, request: Request, zone_id: str, id: str) -> Response:
        changes: Any = self.body(serializers.ApplicationChangeSerializer)
        application = services.change_application(
            id, zone_id=zone_id, actor=self.actor, changes=changes
        )
        return Response(shapes.columns_of(application, self.seen))

    @described("Archive an application", status=204, refusals=(400, 404, 409))
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        services.archive_application(
            id, zone_id=zone_id, actor=self.actor, reason="application_archived"
        )
        return Response(status=204)

    @described(
        "Give an application a new secret",
        body=serializers.SecretRotateSerializer,
        answer=shapes.ApplicationIssuedShape,
        refusals=(400, 404, 409, 413, 415),
    )
    def rotate_secret(self, request: Request, zone_id: str, id: str) -> Response:
        rotated = services.rotate_client_secret(
            id,
            zone_id=zone_id,
            actor=self.actor,
            reason=ROTATED_BY_REQUEST,
            **self.optional_body(serializers.SecretRotateSerializer),
        )
        return Response(shapes.issued(rotated, self.seen))

    def optional_body(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """The body, where the clients of the contract send none."""
        is_empty = self.request.META.get("CONTENT_LENGTH") in (None, "", "0")
        return {} if is_empty else self.body(serializer)


class ProvidersViewSet(ZoneScopedViewSet):
    """Where the credentials for upstreams come from."""

    invalid_body = errors.InvalidProvider

    def rows(self) -> QuerySet[Any, dict[str, Any]]:
        return Provider.objects.in_zone(self.zone.id).live().values(*shapes.PROVIDER)

    @described(
        "List providers",
        answer=shapes.ProviderShape,
        listing=True,
        filterset=ProviderFilter,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> Response:
        rows, headers = page_of(
            self.rows(), path=request.path, query=request.GET, filterset=ProviderFilter
        )
        return page_response(rows, headers)

    @described(
        "Create a provider",
        body=serializers.ProviderCreateSerializer,
        answer=shapes.ProviderShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields = self.body(serializers.ProviderCreateSerializer)

        def perform() -> Response:
            made = services.create_provider(
                fields.pop("kind"), zone_id=zone_id, actor=self.actor, **fields
            )
            return Response(shapes.columns_of(made, shapes.PROVIDER), status=201)

        return once(request, perform)

    @described("Get a provider", answer=shapes.ProviderShape, refusals=(400, 404))
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        row = self.rows().filter(id=id).first()
        if row is None:
            raise errors.ProviderNotFound
        return Response(row)

    @described(
        "Change a provider",
        body=serializers.ProviderChangeSerializer,
        answer=shapes.ProviderShape,
        refusals=(400, 404, 409, 413, 415),
    )
    def partial_update(self, request: Request, zone_id: str, id: str) -> Response:
        changes: Any = self.body(serializers.ProviderChangeSerializer)
        changed = services.change_provider(
            id, zone_id=zone_id, actor=self.actor, changes=changes
        )
        return Response(shapes.columns_of(changed, shapes.PROVIDER))

    @described("Archive a provider", status=204, refusals=(400, 404, 409))
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        services.archive_provider(
            id, zone_id=zone_id, actor=self.actor, reason=BY_REQUEST
        )
        return Response(status=204)

    @described(
        "Test the connection of a provider",
        answer=shapes.ProviderTestShape,
        refusals=(400, 404),
    )
    def test(self, request: Request, zone_id: str, id: str) -> Response:
        tested = services.check_connection(id, zone_id=zone_id, actor=self.actor)
        return Response(asdict(tested))


class ResourcesViewSet(ZoneScopedViewSet):
    """What agents are given authority over."""

    invalid_body = errors.InvalidResource

    def rows(self) -> QuerySet[Any, dict[str, Any]]:
        """Live resources as answered: tokens of one zone see no control resource."""
        in_zone = Resource.objects.in_zone(self.zone.id).live()
        if not self.actor.is_global:
            in_zone = in_zone.exclude(identifier=settings.CONTROL_AUDIENCE)
        return in_zone.with_gateway_application().values(*shapes.RESOURCE)

    @described(
        "List resources",
        answer=shapes.ResourceShape,
        listing=True,
        filterset=ResourceFilter,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> Response:
        rows, headers = page_of(
            self.rows(), path=request.path, query=request.GET, filterset=ResourceFilter
        )
        return page_response(rows, headers)

    @described(
        "Create a resource",
        body=serializers.ResourceCreateSerializer,
        answer=shapes.ResourceShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields: Any = self.body(serializers.ResourceCreateSerializer)

        def perform() -> Response:
            made = services.create_resource(
                zone_id=zone_id, actor=self.actor, fields=fields
            )
            return Response(shapes.columns_of(made, shapes.RESOURCE), status=201)

        return once(request, perform)

    @described("Get a resource", answer=shapes.ResourceShape, refusals=(400, 404))
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        row = self.rows().filter(id=id).first()
        if row is None:
            raise errors.ResourceNotFound
        return Response(row)

    @described(
        "Change a resource",
        body=serializers.ResourceChangeSerializer,
        answer=shapes.ResourceShape,
        refusals=(400, 404, 409, 413, 415),
    )
    def partial_update(self, request: Request, zone_id: str, id: str) -> Response:
        changes: Any = self.body(serializers.ResourceChangeSerializer)
        changed = services.change_resource(
            id, zone_id=zone_id, actor=self.actor, changes=changes
        )
        return Response(shapes.columns_of(changed, shapes.RESOURCE))

    @described("Archive a resource", status=204, refusals=(400, 404, 409))
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        services.archive_resource(
            id, zone_id=zone_id, actor=self.actor, reason=BY_REQUEST
        )
        return Response(status=204)


def limit_registrations(zone_id: str, token_id: str) -> None:
    """``DCR_RATE_LIMIT_PER_SEC`` for each zone, which is there, and token.

    Raises DcrRateLimitExceeded.
    """
    most = settings.DCR_RATE_LIMIT_PER_SEC
    try:
        rates.check("dcr", f"{zone_id}:{token_id}", most, seconds=1)
    except RateLimited as limited:
        raise errors.DcrRateLimitExceeded(headers=limited.headers) from None
