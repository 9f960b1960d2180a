"""Policies and their versions, on the Management API."""

from __future__ import annotations

from typing import ClassVar

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.idempotency import once
from caracal_site.api.items import condition, item
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from policies import errors, services
from policies.api import listings, serializers
from policies.api import set_shapes as shapes
from policies.models import Policy

BY_REQUEST = "deleted through the Management API"


class PoliciesViewSet(ZoneScopedViewSet):
    """The data documents of a zone."""

    model = "policies.policy"
    success_status: ClassVar = {"create": 201, "destroy": 204, "add_version": 201}

    def found(self, id: str) -> Policy:
        live = Policy.objects.in_zone(self.zone.id).live()
        policy: Policy | None = live.filter(id=id).first()
        if policy is None:
            raise errors.PolicyNotFound
        return policy

    @described(
        "List policies",
        answer=shapes.PolicyShape,
        listing=listings.POLICIES,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(Policy.objects.in_zone(zone_id), listings.POLICIES)

    @described(
        "Create a policy",
        body=serializers.PolicyCreateSerializer,
        answer=shapes.PolicyMadeShape,
        status=201,
        refusals=(400, 404, 409, 413, 415, 422),
        once=True,
        tagged=True,
    )
    def create(self, request: Request, zone_id: str) -> Response:
        fields = self.body(serializers.PolicyCreateSerializer)

        def perform() -> Response:
            created = services.create_policy(
                fields.pop("name"),
                zone_id=zone_id,
                actor=self.actor,
                **fields,
            )
            body = shapes.policy_made(created)
            return item(request, body, version=created.policy.version, status=201)

        return once(request, perform)

    @described(
        "Get a policy and all its versions",
        answer=shapes.PolicyDetailShape,
        refusals=(400, 404),
        tagged=True,
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        policy = self.found(id)
        body = shapes.policy_with_versions(policy)
        return item(request, body, version=policy.version)

    @described(
        "Archive a policy",
        status=204,
        refusals=(400, 404, 409),
        guarded=True,
        previews=shapes.NothingEndsShape,
    )
    def destroy(self, request: Request, zone_id: str, id: str) -> Response:
        asked = self.asked(zone_id)
        if self.is_preview:
            services.preview_policy_archive(id, **asked)
            return Response(shapes.nothing_ends(id))
        services.archive_policy(id, reason=BY_REQUEST, **asked)
        return Response(status=204)

    @described("What uses a policy", answer=shapes.UsesShape, refusals=(400, 404))
    def used_by(self, request: Request, zone_id: str, id: str) -> Response:
        return Response(shapes.used_by(self.found(id)))

    @described(
        "Add a version to a policy",
        body=serializers.PolicyContentSerializer,
        answer=shapes.PolicyVersionMadeShape,
        status=201,
        refusals=(400, 404, 409, 413, 415, 422),
        once=True,
        guarded=True,
    )
    def add_version(self, request: Request, zone_id: str, id: str) -> Response:
        fields = self.body(serializers.PolicyContentSerializer)

        def perform() -> Response:
            version = services.add_policy_version(
                id,
                zone_id=zone_id,
                actor=self.actor,
                if_match=condition(request),
                **fields,
            )
            made = shapes.columns_of(version, shapes.POLICY_VERSION_MADE)
            return Response({"version_id": version.id, **made}, status=201)

        return once(request, perform)
