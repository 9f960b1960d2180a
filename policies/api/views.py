"""The Management API of policies."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.schema import described
from caracal_site.api.views import ApiViewSet
from policies.templates import TEMPLATES, Template


class TemplateAnswer(serializers.Serializer[Template]):
    """A data document to start from."""

    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    content = serializers.CharField()


class TemplateViewSet(ApiViewSet):
    """Data documents to start from; the same for every zone."""

    open_to_zones = True

    @described("List policy templates", answer=TemplateAnswer(many=True))
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
