"""What lives in a zone, on the Management API: applications, providers, resources."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from django.conf import settings
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from caracal_site import rates
from caracal_site.api.idempotency import once
from caracal_site.api.items import item
from caracal_site.api.pagination import Listing
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from caracal_site.errors import RateLimited
from zones import errors, services
from zones.api import hot, listings, serializers, shapes
from zones.models import Application, Provider, Resource
from zones.querysets import ResourceQuerySet

BY_REQUEST = "deleted through the Management API"
ROTATED_BY_REQUEST = "rotated through the Management API"


class ApplicationsViewSet(ZoneScopedViewSet):
    """Client identities with a secret."""

    model = "zones.application"
    invalid_body = errors.InvalidApplication
    success_status: ClassVar = {"create": 201, "register": 201, "destroy": 204}

    @property
    def listing(self) -> Listing:
        """Traits are for tokens of all zones only."""
        if self.actor.is_global:
            return listings.APPLICATIONS
        return listings.APPLICATIONS_IN_ZONE

    @property
    def seen(self) -> tuple[str, ...]:
        """The members the caller sees."""
        return self.listing.columns

    @described(
        "List applications",
        answer=shapes.ApplicationShape,
        listing=listings.APPLICATIONS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(Application.objects.in_zone(zone_id), self.listing)

    @described(
        "Create a managed application",
        body=serializers.ApplicationCreateSerializer,
        answer=shapes.ApplicationIssuedShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
        tagged=True,
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
            version = made.application.version
            return item(
                request, shapes.issued(made, self.seen), version=version, status=201
            )

        return once(request, perform)

    @described(
        "Register an application for a while",
        body=serializers.ApplicationRegisterSerializer,
        answer=shapes.ApplicationIssuedShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
        tagged=True,
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
            version = made.application.version
            return item(
                request, shapes.issued(made, self.seen), version=version, status=201
            )

        return once(request, perform)

    @described(
        "Get an application",
        answer=shapes.ApplicationShape,
        refusals=(400, 404),
        tagged=True,
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        live = Application.objects.in_zone(zone_id).live().filter(id=id)
        row = live.values(*self.listing.columns, "version").first()
        if row is None:
            raise errors.ApplicationNotFound
        return item(request, row, version=row.pop("version"))

    @described(
        "Change an application",
        body=serializers.ApplicationChangeSerializer,
        answer=shapes.ApplicationShape,
        refusals=(400, 404, 409, 413, 415),
        tagged=True,
        guarded=True,
    )
    def partial_update(self, request: Request, zone_id: str, id: str) -> Response:
        changes: Any = self.body(serializers.ApplicationChangeSerializer)
        application = services.change_application(
            id, changes=changes, **self.asked(zone_id)
        )
        body = shapes.columns_of(application, self.seen)
        return item(request, body, version=application.version)

    @described(
        "Archive an application",
        status=204,
        refusals=(400, 404, 409),
        guarded=True,
        previews=shapes.PreviewShape,
    )
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        asked = self.asked(zone_id)
        if self.is_preview:
            ended = services.preview_application_archive(id, **asked)
            return Response(shapes.preview(Application.objects.get(id=id), ended))
        services.archive_application(id, reason="application_archived", **asked)
        return Response(status=204)

    @described(
        "Give an application a new secret",
        body=serializers.SecretRotateSerializer,
        answer=shapes.ApplicationIssuedShape,
        refusals=(400, 404, 409, 413, 415),
        tagged=True,
        guarded=True,
    )
    def rotate_secret(self, request: Request, zone_id: str, id: str) -> Response:
        rotated = services.rotate_client_secret(
            id,
            reason=ROTATED_BY_REQUEST,
            **self.asked(zone_id),
            **self.optional_body(serializers.SecretRotateSerializer),
        )
        version = rotated.application.version
        return item(request, shapes.issued(rotated, self.seen), version=version)

    def optional_body(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """The body, where the clients of the contract send none."""
        is_empty = self.request.META.get("CONTENT_LENGTH") in (None, "", "0")
        return {} if is_empty else self.body(serializer)

    @described(
        "What uses an application", answer=shapes.UsedByShape, refusals=(400, 404)
    )
    def used_by(self, request: Request, zone_id: str, id: str) -> Response:
        found = Application.objects.in_zone(zone_id).live().filter(id=id).first()
        if found is None:
            raise errors.ApplicationNotFound
        return Response(shapes.used_by(found))


class ProvidersViewSet(ZoneScopedViewSet):
    """Where the credentials for upstreams come from."""

    model = "zones.provider"
    invalid_body = errors.InvalidProvider

    @described(
        "List providers",
        answer=shapes.ProviderShape,
        listing=listings.PROVIDERS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(Provider.objects.in_zone(zone_id), listings.PROVIDERS)

    @described(
        "Create a provider",
        body=serializers.ProviderCreateSerializer,
        answer=shapes.ProviderShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
        tagged=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields = self.body(serializers.ProviderCreateSerializer)

        def perform() -> Response:
            made = services.create_provider(
                fields.pop("kind"), zone_id=zone_id, actor=self.actor, **fields
            )
            body = shapes.columns_of(made, shapes.PROVIDER)
            return item(request, body, version=made.version, status=201)

        return once(request, perform)

    @described(
        "Get a provider",
        answer=shapes.ProviderShape,
        refusals=(400, 404),
        tagged=True,
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        live = Provider.objects.in_zone(zone_id).live().filter(id=id)
        row = live.values(*shapes.PROVIDER, "version").first()
        if row is None:
            raise errors.ProviderNotFound
        return item(request, row, version=row.pop("version"))

    @described(
        "Change a provider",
        body=serializers.ProviderChangeSerializer,
        answer=shapes.ProviderShape,
        refusals=(400, 404, 409, 413, 415),
        tagged=True,
        guarded=True,
    )
    def partial_update(self, request: Request, zone_id: str, id: str) -> Response:
        changes: Any = self.body(serializers.ProviderChangeSerializer)
        changed = services.change_provider(id, changes=changes, **self.asked(zone_id))
        body = shapes.columns_of(changed, shapes.PROVIDER)
        return item(request, body, version=changed.version)

    @described(
        "Archive a provider",
        status=204,
        refusals=(400, 404, 409),
        guarded=True,
        previews=shapes.PreviewShape,
    )
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        asked = self.asked(zone_id)
        if self.is_preview:
            ended = services.preview_provider_archive(id, **asked)
            return Response(shapes.preview(Provider.objects.get(id=id), ended))
        services.archive_provider(id, reason=BY_REQUEST, **asked)
        return Response(status=204)

    @described("What uses a provider", answer=shapes.UsedByShape, refusals=(400, 404))
    def used_by(self, request: Request, zone_id: str, id: str) -> Response:
        found = Provider.objects.in_zone(zone_id).live().filter(id=id).first()
        if found is None:
            raise errors.ProviderNotFound
        return Response(shapes.used_by(found))

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

    model = "zones.resource"
    invalid_body = errors.InvalidResource

    def rows(self) -> ResourceQuerySet[Resource]:
        """Tokens of one zone see no control resource."""
        in_zone = Resource.objects.in_zone(self.zone.id)
        if not self.actor.is_global:
            in_zone = in_zone.exclude(identifier=settings.CONTROL_AUDIENCE)
        return in_zone.with_gateway_application()

    @described(
        "List resources",
        answer=shapes.ResourceShape,
        listing=listings.RESOURCES,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        page = hot.resources(request, zone_id=zone_id, actor=self.actor)
        return page or self.listed(self.rows(), listings.RESOURCES)

    @described(
        "Create a resource",
        body=serializers.ResourceCreateSerializer,
        answer=shapes.ResourceShape,
        status=201,
        refusals=(400, 404, 409, 413, 415),
        once=True,
        tagged=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields: Any = self.body(serializers.ResourceCreateSerializer)

        def perform() -> Response:
            made = services.create_resource(
                zone_id=zone_id, actor=self.actor, fields=fields
            )
            body = shapes.columns_of(made, shapes.RESOURCE)
            return item(request, body, version=made.version, status=201)

        return once(request, perform)

    @described(
        "Get a resource",
        answer=shapes.ResourceShape,
        refusals=(400, 404),
        tagged=True,
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        live = self.rows().live().filter(id=id)
        row = live.values(*shapes.RESOURCE, "version").first()
        if row is None:
            raise errors.ResourceNotFound
        return item(request, row, version=row.pop("version"))

    @described(
        "Change a resource",
        body=serializers.ResourceChangeSerializer,
        answer=shapes.ResourceShape,
        refusals=(400, 404, 409, 413, 415),
        tagged=True,
        guarded=True,
    )
    def partial_update(self, request: Request, zone_id: str, id: str) -> Response:
        changes: Any = self.body(serializers.ResourceChangeSerializer)
        changed = services.change_resource(id, changes=changes, **self.asked(zone_id))
        body = shapes.columns_of(changed, shapes.RESOURCE)
        return item(request, body, version=changed.version)

    @described(
        "Archive a resource",
        status=204,
        refusals=(400, 404, 409),
        guarded=True,
        previews=shapes.PreviewShape,
    )
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        asked = self.asked(zone_id)
        if self.is_preview:
            ended = services.preview_resource_archive(id, **asked)
            return Response(shapes.preview(Resource.objects.get(id=id), ended))
        services.archive_resource(id, reason=BY_REQUEST, **asked)
        return Response(status=204)

    @described("What uses a resource", answer=shapes.UsedByShape, refusals=(400, 404))
    def used_by(self, request: Request, zone_id: str, id: str) -> Response:
        found = self.rows().live().filter(id=id).first()
        if found is None:
            raise errors.ResourceNotFound
        return Response(shapes.used_by(found))


def limit_registrations(zone_id: str, token_id: str) -> None:
    """``DCR_RATE_LIMIT_PER_SEC`` for each zone, which is there, and token.

    Raises DcrRateLimitExceeded.
    """
    most = settings.DCR_RATE_LIMIT_PER_SEC
    try:
        rates.check("dcr", f"{zone_id}:{token_id}", most, seconds=1)
    except RateLimited as limited:
        raise errors.DcrRateLimitExceeded(headers=limited.headers) from None
