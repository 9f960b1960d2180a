"""How the Management API describes itself (OpenAPI, by drf-spectacular)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

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

from caracal_site.api.exports import FORMATS
from caracal_site.api.pagination import Listing

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
    listing: Listing | None = None,
    once: bool = False,
    tagged: bool = False,
    guarded: bool = False,
    previews: Any = None,
    parameters: tuple[OpenApiParameter, ...] = (),
) -> Callable[[F], F]:
    """Describes one action, and keeps what its page shows on it.

    ``answer`` None is an empty answer; ``refusals`` are the statuses besides those
    every route has; ``listing`` adds its parameters, ``once`` the Idempotency-Key
    header; ``tagged`` tells the entity tag of the answer, ``guarded`` the If-Match
    header and its refusal; ``previews`` is the answer to dry_run.
    """
    wanted = [*parameters, *_headers(once=once, guarded=guarded)]
    responses: dict[Any, Any] = {status: answer or OpenApiResponse(description="Done.")}
    if listing is not None:
        wanted += list_parameters(listing)
        # An envelope's answer is the whole body.
        rows = answer if listing.envelope else answer(many=True)
        responses = {(status, "application/json"): rows, **file_responses()}
    if tagged:
        wanted.append(etag(status))
        if status == HTTPStatus.OK and not guarded:
            wanted.append(IF_NONE_MATCH)
            responses[304] = OpenApiResponse(description="Not Modified")
    if previews is not None:
        wanted.append(DRY_RUN)
        responses[200] = previews
    implied = {400} if listing or guarded else set()
    for code in sorted({*ALWAYS, *refusals, *implied, *({412} if guarded else ())}):
        phrase = HTTPStatus(code).phrase
        responses[code] = OpenApiResponse(ErrorBody, description=phrase)
    describe = extend_schema(
        summary=summary,
        request=body,
        responses=responses,
        parameters=wanted,
        filters=False,
    )

    def decorate(action: F) -> F:
        described_action = describe(action)
        described_action.summary = summary  # type: ignore[attr-defined]
        described_action.body = body  # type: ignore[attr-defined]
        described_action.listing = listing  # type: ignore[attr-defined]
        return described_action

    return decorate


def _headers(*, once: bool, guarded: bool) -> list[OpenApiParameter]:
    return [*([IDEMPOTENCY_KEY] if once else []), *([IF_MATCH] if guarded else [])]


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Repeats of the request with this key get the first answer again.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Entity tags the item may have; the change is refused if it has none"
    " of them any more. Without the header it is made in any case.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Entity tags the reader has; it is told when the item has one of them.",
)
DRY_RUN = OpenApiParameter(
    "dry_run",
    OpenApiTypes.BOOL,
    description="Only tell what would end and break; nothing is changed or recorded.",
)


def etag(status: int) -> OpenApiParameter:
    """The entity tag in the answer with ``status``."""
    return OpenApiParameter(
        "ETag",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        description="The item's strong entity tag, for If-Match and If-None-Match.",
        response=[status],
    )


def file_responses() -> dict[Any, Any]:
    """A list as a file."""
    return {
        (200, f"{kind.media_type}"): OpenApiResponse(
            OpenApiTypes.STR, description="A page, or all rows as a file."
        )
        for kind in FORMATS.values()
    }


def list_parameters(listing: Listing) -> list[OpenApiParameter]:
    """Paging, format, order and filters of a list."""
    return [*_common_parameters(listing), *_filter_parameters(listing)]


def _common_parameters(listing: Listing) -> list[OpenApiParameter]:
    limit = {
        "type": "integer",
        "minimum": 1,
        "maximum": listing.max_limit,
        "default": listing.default_limit,
    }
    behind = "next_cursor" if listing.envelope else "the Link header"
    return [
        OpenApiParameter("limit", limit, description="How many rows at most."),
        OpenApiParameter(
            "cursor",
            OpenApiTypes.STR,
            description=f"Where to go on, as {behind} of a page has it.",
        ),
        OpenApiParameter(
            "ordering",
            OpenApiTypes.STR,
            enum=list(listing.orderings),
            description=f"The order; {listing.orderings[0]} unless given.",
        ),
        OpenApiParameter(
            "format",
            OpenApiTypes.STR,
            enum=["json", *FORMATS],
            description="json for a page; anything else for a file of all rows, or of"
            " the page whose limit or cursor is given. Files are recorded in the audit"
            " trail; one that broke off says so in its last line.",
        ),
        OpenApiParameter(
            "fields",
            OpenApiTypes.STR,
            description="The members a row is to have, divided by commas: some of"
            f" {', '.join(listing.choices)}.",
        ),
    ]


def _filter_parameters(listing: Listing) -> list[OpenApiParameter]:
    found = []
    for name, declared in listing.filterset.base_filters.items():
        choices = [value for value, _ in declared.extra.get("choices", ())]
        label = str(declared.label or "")
        found.append(
            OpenApiParameter(
                name, OpenApiTypes.STR, description=label, enum=choices or None
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
