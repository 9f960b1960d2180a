"""The Management API of policies."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.views import ApiViewSet
from policies.templates import TEMPLATES


class TemplateAnswer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    content = serializers.CharField()


class TemplateViewSet(ApiViewSet):
    """Data documents to start from; the same for every zone."""

    open_to_zones = True

    @extend_schema(
        operation_id="policy_templates_list",
        summary="List policy templates.",
        responses=TemplateAnswer(many=True),
        tags=["policies"],
    )
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
