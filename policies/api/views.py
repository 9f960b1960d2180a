"""The Management API of policies."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.schema import described
from caracal_site.api.views import ApiViewSet
from policies import acceptance
from policies.api import serializers, shapes
from policies.templates import TEMPLATES


class TemplateViewSet(ApiViewSet):
    """Data documents to start from; the same for every zone."""

    open_to_zones = True

    @described("List policy templates", answer=shapes.TemplateShape(many=True))
    def list(self, request: Request) -> Response:
        return Response(
            [
                {
                    "id": template.id,
                    "name": template.name,
                    "description": template.description,
                    "content": template.content,
                }
                for template in TEMPLATES
            ]
        )


class ValidationViewSet(ApiViewSet):
    """Trying a policy without keeping it; the same for every zone."""

    open_to_zones = True
    reads_with_post: ClassVar[frozenset[str]] = frozenset({"validate"})

    @described(
        "Validate a policy",
        body=serializers.PolicyContentSerializer,
        answer=shapes.ValidPolicyShape,
        refusals=(400, 413, 415, 422),
    )
    def validate(self, request: Request) -> Response:
        fields = self.body(serializers.PolicyContentSerializer)
        version = fields.get("schema_version", acceptance.CURRENT_SCHEMA_VERSION)
        report = acceptance.accepted(fields["content"], version, extra={"valid": False})
        return Response(shapes.valid_policy(report, version))
