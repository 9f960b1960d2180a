"""How the Management API describes itself (OpenAPI, by drf-spectacular)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import django_filters
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    Direction,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers

from caracal_site.api.pagination import DEFAULT_LIMIT, MAX_LIMIT

F = TypeVar("F", bound=Callable[..., Any])

ErrorBody = inline_serializer(
    "Error",
    {
        "error": serializers.CharField(help_text="What went wrong, as a stable code."),
        "error_description": serializers.CharField(help_text="One helpful sentence."),
        "requestId": serializers.CharField(help_text="Finds the request in the logs."),
        "details": inline_serializer(
            "ErrorDetails",
            {
                "issues": inline_serializer(
                    "Issue",
                    {
                        "path": serializers.ListField(child=serializers.CharField()),
                        "message": serializers.CharField(),
                    },
                    many=True,
                )
            },
            required=False,
        ),
    },
)
ALWAYS = (401, 403, 429, 503)


def described(
    summary: str,
    *,
    body: Any = None,
    answer: Any = None,
    status: int = 200,
    refusals: tuple[int, ...] = (),
    filterset: type[django_filters.FilterSet] | None = None,
    listing: bool = False,
    once: bool = False,
    parameters: tuple[OpenApiParameter, ...] = (),
) -> Callable[[F], F]:
    """Describes one action. ``answer`` None is an empty answer; ``refusals`` are the
    statuses besides those every route has; ``listing`` adds the paging parameters and
    those of ``filterset``; ``once`` the Idempotency-Key header."""
    wanted = list(parameters)
    if listing:
        wanted += paging_parameters(filterset)
    if once:
        wanted.append(IDEMPOTENCY_KEY)
    responses: dict[int, Any] = {status: answer or OpenApiResponse(description="Done.")}
    if listing:
        responses[status] = answer(many=True)
        refusals = (*refusals, 400)
    for code in sorted({*ALWAYS, *refusals}):
        phrase = HTTPStatus(code).phrase
        responses[code] = OpenApiResponse(ErrorBody, description=phrase)
    return extend_schema(
        summary=summary,
        request=body,
        responses=responses,
        parameters=wanted,
        filters=False,
    )


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Repeats of the request with this key get the first answer again.",
)


def paging_parameters(
    filterset: type[django_filters.FilterSet] | None,
) -> list[OpenApiParameter]:
    """``limit``, ``cursor`` and the filters of a list."""
    found = [
        OpenApiParameter(
            "limit",
            {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LIMIT,
                "default": DEFAULT_LIMIT,
            },
            description="How many rows at most.",
        ),
        OpenApiParameter(
            "cursor",
            OpenApiTypes.STR,
            description="As the Link header of a page has it.",
        ),
    ]
    filters = filterset.base_filters if filterset else {}
    for name, declared in filters.items():
        choices = [value for value, _ in declared.extra.get("choices", ())]
        found.append(
            OpenApiParameter(
                name,
                OpenApiTypes.STR,
                description=str(declared.label or ""),
                enum=choices or None,
            )
        )
    return found


class AdminTokenScheme(OpenApiAuthenticationExtension):
    target_class = "zones.api.authentication.AdminTokenAuthentication"
    name = "adminToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class TextFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "caracal_site.api.fields.TextField"
    match_subclasses = True

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        if self.target.min_length:
            schema["minLength"] = self.target.min_length
        if self.target.max_length is not None:
            schema["maxLength"] = self.target.max_length
        return schema


class FlagFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "caracal_site.api.fields.FlagField"

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        return {"type": "boolean"}


class WholeFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "caracal_site.api.fields.WholeField"

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        return {
            "type": "integer",
            "minimum": self.target.minimum,
            "maximum": self.target.maximum,
        }
