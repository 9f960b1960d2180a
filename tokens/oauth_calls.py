"""What standard OAuth clients look for: discovery (RFC 8414), introspection (RFC 7662)
and revocation (RFC 7009)."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.routes import Access, Call, Route
from caracal_site.errors import InvalidQuery
from caracal_site.ids import is_id
from tokens import forms
from tokens.coordinator import KEY_SET_HEADERS, NOT_STORED, body_of, in_token_db
from tokens.services import questioning

TOKEN, INTROSPECT, REVOKE = "/oauth/2/token", "/oauth/2/introspect", "/oauth/2/revoke"
CLIENT_METHODS = ["client_secret_post"]


class MetadataQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The zone whose keys ``jwks_uri`` is to name."""

    zone_id: str = ""


class Metadata(msgspec.Struct, frozen=True):
    """Authorization server metadata (RFC 8414)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    introspection_endpoint: str
    revocation_endpoint: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    introspection_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]


class QuestionForm(msgspec.Struct, frozen=True):
    """The form of a request about a token. ``client_id`` is another name of
    ``application_id``; ``zone_id`` is the client's own unless given."""

    # For the API reference; ``forms`` reads the body.
    token: str
    client_secret: str
    application_id: str = ""
    client_id: str = ""
    zone_id: str = ""
    token_type_hint: str = ""


class Introspected(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about a token; only ``active`` about one that is no good."""

    active: bool
    token_type: Literal["Bearer"] | None = None
    scope: str | None = None
    client_id: str | None = None
    sub: str | None = None
    aud: str | list[str] | None = None
    iss: str | None = None
    exp: int | None = None
    iat: int | None = None
    jti: str | None = None
    zone_id: str | None = None
    sid: str | None = None
    root_sid: str | None = None
    use: str | None = None
    sub_type: str | None = None
    target: list[str] | None = None
    agent_session_id: str | None = None
    delegation_edge_id: str | None = None
    delegation_chain: list[dict[str, Any]] | None = None
    hop_count: int | None = None


class Nothing(msgspec.Struct, frozen=True):
    """An empty object."""


async def metadata(call: Call) -> HttpResponse:
    """Where the endpoints of the issuer are, and what they take."""
    zone_id = call.query.zone_id
    if zone_id and not is_id(zone_id):
        raise InvalidQuery("zone_id is not an identifier.")
    issuer = settings.ISSUER_URL
    of_zone = f"?{urlencode({'zone_id': zone_id})}" if zone_id else ""
    found = Metadata(
        issuer=issuer,
        token_endpoint=issuer + TOKEN,
        jwks_uri=f"{issuer}/.well-known/jwks.json{of_zone}",
        introspection_endpoint=issuer + INTROSPECT,
        revocation_endpoint=issuer + REVOKE,
        grant_types_supported=[forms.CLIENT_CREDENTIALS, forms.TOKEN_EXCHANGE],
        response_types_supported=[],
        token_endpoint_auth_methods_supported=CLIENT_METHODS,
        introspection_endpoint_auth_methods_supported=CLIENT_METHODS,
        revocation_endpoint_auth_methods_supported=CLIENT_METHODS,
    )
    return answer(msgspec.json.encode(found), headers=KEY_SET_HEADERS)


async def introspect(call: Call) -> HttpResponse:
    """Whether a token is in force, and what it claims."""
    asked = _question(call.request)
    told = await in_token_db(questioning.introspect, asked)
    return answer(told, headers=NOT_STORED)


async def revoke(call: Call) -> HttpResponse:
    """Ends the session of a token, and the agents on it."""
    await in_token_db(questioning.revoke, _question(call.request))
    return answer({}, headers=NOT_STORED)


def _question(request: HttpRequest) -> forms.TokenQuestion:
    return forms.read_about_token(
        body_of(request),
        content_type=request.META.get("CONTENT_TYPE", ""),
        query=request.META.get("QUERY_STRING", ""),
    )


CLIENT_ERRORS = (
    "invalid_request",
    "access_denied",
    "zone_invalid",
    "provider_rate_limited",
    "sts_unavailable",
)

routes = [
    Route(
        "GET",
        "/.well-known/oauth-authorization-server",
        "oauth-metadata",
        metadata,
        "Discover the token endpoints",
        access=Access.PUBLIC,
        query=MetadataQuery,
        answer=Metadata,
        tags=("tokens",),
    ),
    Route(
        "POST",
        INTROSPECT,
        "introspect-token",
        introspect,
        "Introspect a token",
        access=Access.PUBLIC,
        form=True,
        extra={"form": QuestionForm},
        answer=Introspected,
        errors=CLIENT_ERRORS,
        tags=("tokens",),
    ),
    Route(
        "POST",
        REVOKE,
        "revoke-token",
        revoke,
        "Revoke a token",
        access=Access.PUBLIC,
        form=True,
        extra={"form": QuestionForm},
        answer=Nothing,
        errors=CLIENT_ERRORS,
        tags=("tokens",),
    ),
]
