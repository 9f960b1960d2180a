"""The token endpoint, the key sets, and the operator's hand on the keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import msgspec
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from psycopg_pool import PoolTimeout

from caracal_site import actors, database
from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.routes import Access, Call, Route
from caracal_site.coordinator.threads import in_db
from caracal_site.errors import (
    LockTimeout,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
)
from caracal_site.ids import is_id
from tokens import forms, services, verifying
from tokens.errors import (
    NoTokenToVerify,
    TokenServiceUnavailable,
    TooManyVerifications,
    ZoneHasNoKeys,
    ZoneIdMissing,
)
from tokens.gateway import GatewaySignature
from tokens.liveness import liveness
from tokens.services import issue

NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
KEY_SET_HEADERS = {"Cache-Control": "public, max-age=300, must-revalidate"}
GATEWAY_HEADERS = (
    "HTTP_X_CARACAL_GATEWAY_TIMESTAMP",
    "HTTP_X_CARACAL_GATEWAY_REQUEST",
    "HTTP_X_CARACAL_GATEWAY_SIGNATURE",
)
P = ParamSpec("P")
T = TypeVar("T")
Text = Annotated[str, msgspec.Meta(min_length=1)]


class TokenForm(msgspec.Struct, frozen=True):
    """The form of a token request. ``resource`` may be repeated, ``scope`` lists words,
    and an empty parameter is an absent one."""

    # For the API reference; ``forms`` reads the body.
    grant_type: Literal[
        "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"
    ]
    zone_id: str
    application_id: str
    client_secret: str
    resource: Annotated[list[str], msgspec.Meta(max_length=forms.MAX_RESOURCES)] = []
    scope: str = ""
    ttl_seconds: Annotated[int, msgspec.Meta(ge=0, le=3_600)] = 900
    subject_token: str = ""
    subject_token_type: str = forms.ACCESS_TOKEN_TYPE
    actor_token: str = ""
    actor_token_type: str = forms.ACCESS_TOKEN_TYPE
    session_id: str = ""
    agent_session_id: str = ""
    delegation_edge_id: str = ""
    challenge_id: str = ""
    challenge_response: str = ""
    runtime_credential_injection: bool = False
    request_method: str = ""
    request_path: str = ""


class TokenBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of the token endpoint."""

    access_token: str
    token_type: str
    expires_in: int
    issued_token_type: str
    target_resources: list[str]
    scope: str | None = None
    upstreams: dict[str, dict[str, Any]] | None = None


class VerifyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token to verify, as it is or as an Authorization value, and what it must be
    good for. ``audience`` defaults to the issuer; ``check_liveness`` asks besides
    whether all that the token names is still in force."""

    token: Text | msgspec.UnsetType = msgspec.UNSET
    authorization: Text | msgspec.UnsetType = msgspec.UNSET
    zone_id: Text | msgspec.UnsetType = msgspec.UNSET
    audience: Text | msgspec.UnsetType = msgspec.UNSET
    required_scope: Text | msgspec.UnsetType = msgspec.UNSET
    require_agent: bool = False
    require_delegation: bool = False
    check_liveness: bool = False


class VerifiedToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """A good token: its claims and, when asked for, the state of what it names."""

    valid: bool
    claims: dict[str, Any]
    live: bool | None = None
    liveness: dict[str, Any] | None = None


class KeySet(msgspec.Struct, frozen=True):
    """A JWK set (RFC 7517)."""

    keys: list[dict[str, str]]


class KeySetQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    zone_id: str = ""


class KeyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a key is rotated or withdrawn."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "requested"


class Rotated(msgspec.Struct, frozen=True):
    """The key that was published and will sign."""

    rotated: bool
    zone_id: str
    kid: str


class Withdrawn(msgspec.Struct, frozen=True):
    """The key that is trusted no more."""

    withdrawn: bool
    zone_id: str
    kid: str


async def token(call: Call) -> HttpResponse:
    """Issues a session token to an application."""
    request = call.request
    asked = forms.read(
        body_of(request),
        content_type=request.META.get("CONTENT_TYPE", ""),
        query=request.META.get("QUERY_STRING", ""),
        gateway=_gateway(request),
    )
    issued = await in_token_db(issue.issue_session_token, asked)
    return answer(issued.as_json(), headers=NOT_STORED)


def _gateway(request: HttpRequest) -> GatewaySignature | None:
    """What a gateway says of itself, when anything is said."""
    if not any(header in request.META for header in GATEWAY_HEADERS):
        return None
    timestamp, request_id, signature = (
        request.META.get(header, "") for header in GATEWAY_HEADERS
    )
    return GatewaySignature(
        timestamp=timestamp,
        request_id=request_id,
        signature=signature,
        method=request.method or "",
        path=request.get_full_path(),
        body=body_of(request),
        named_request_id=request.META.get("HTTP_X_REQUEST_ID", ""),
    )


async def verify(call: Call) -> HttpResponse:
    """Whether a token is good, by its signature and claims."""
    body: VerifyBody = call.body
    token = or_none(body.token)
    if token is None:
        given = or_none(body.authorization) or ""
        token = given.removeprefix("Bearer ").strip()
    if not token:
        raise NoTokenToVerify
    expected = verifying.Expected(
        zone_id=or_none(body.zone_id),
        audience=or_none(body.audience),
        required_scope=or_none(body.required_scope),
        require_agent=body.require_agent,
        require_delegation=body.require_delegation,
    )
    try:
        verified = verifying.recall(token, expected)
        if verified is None:
            verified = await in_db(verifying.verify, token, expected)
    except RateLimited as limited:
        raise TooManyVerifications(headers=limited.headers) from None
    if not body.check_liveness:
        return answer(b'{"valid":true,"claims":' + verified.claims + b"}")
    found = await in_db(liveness, verified)
    return answer(
        {
            "valid": True,
            "claims": verified.mandate.as_json(),
            "live": found.is_live,
            "liveness": found.as_json(),
        }
    )


async def key_set(call: Call) -> HttpResponse:
    """The public keys of a zone."""
    zone_id = call.query.zone_id
    if not zone_id:
        raise ZoneIdMissing
    if not is_id(zone_id):
        raise ZoneHasNoKeys
    return answer(await in_db(services.jwks, zone_id), headers=KEY_SET_HEADERS)


async def rotate_key(call: Call) -> HttpResponse:
    """Publishes the zone's next signing key."""
    key = await in_db(
        services.rotate_signing_key,
        call.zone_id,
        actor=_operator(call),
        reason=_reason(call),
    )
    return answer({"rotated": True, "zone_id": call.zone_id, "kid": key.id})


async def withdraw_key(call: Call) -> HttpResponse:
    """Ends all trust in a signing key."""
    key = await in_db(
        services.withdraw_signing_key,
        call.params["key_id"],
        zone_id=call.zone_id,
        actor=_operator(call),
        reason=_reason(call),
    )
    return answer({"withdrawn": True, "zone_id": call.zone_id, "kid": key.id})


async def in_token_db(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``in_db``, with the token service's own word for the database being away."""
    try:
        return await in_db(function, *args, **kwargs)
    except (Error, PoolTimeout) as error:
        if isinstance(database.translate(error), ServiceUnavailable | LockTimeout):
            raise TokenServiceUnavailable from error
        raise


def body_of(request: HttpRequest) -> bytes:
    """The body of a form. Raises PayloadTooLarge."""
    if getattr(request, "body_too_large", False):
        raise PayloadTooLarge
    return bytes(request.body)


def _operator(call: Call) -> actors.Actor:
    return actors.operator(call.zone_id, settings.AGENT_COORDINATOR_SCOPE)


def _reason(call: Call) -> str:
    body: Any = call.body
    return body.reason if body else KeyChange().reason


routes = [
    Route(
        "POST",
        "/oauth/2/token",
        "token",
        token,
        "Get a session token",
        access=Access.PUBLIC,
        form=True,
        extra={"form": TokenForm},
        answer=TokenBody,
        errors=(
            "invalid_request",
            "unsupported_grant_type",
            "access_denied",
            "zone_invalid",
            "provider_rate_limited",
            "sts_unavailable",
        ),
        tags=("tokens",),
    ),
    Route(
        "POST",
        "/v1/verify",
        "verify-token",
        verify,
        "Verify a token",
        access=Access.PUBLIC,
        body=VerifyBody,
        answer=VerifiedToken,
        errors=("missing_token", "token_invalid"),
        tags=("tokens",),
        limit=lambda: int(settings.VERIFY_RATE_LIMIT_PER_MIN),
        limited=TooManyVerifications,
    ),
    Route(
        "GET",
        "/.well-known/jwks.json",
        "jwks",
        key_set,
        "Get the public keys of a zone",
        access=Access.PUBLIC,
        query=KeySetQuery,
        answer=KeySet,
        errors=("invalid_token", "resource_not_found", "service_unavailable"),
        tags=("tokens",),
    ),
    Route(
        "POST",
        "/internal/zones/{zone_id}/signing-key/rotate",
        "rotate-signing-key",
        rotate_key,
        "Publish the zone's next signing key",
        access=Access.OPERATOR,
        body=KeyChange,
        body_optional=True,
        answer=Rotated,
        errors=("zone_not_found", "rotation_pending"),
        tags=("tokens",),
    ),
    Route(
        "POST",
        "/internal/zones/{zone_id}/signing-keys/{key_id}/withdraw",
        "withdraw-signing-key",
        withdraw_key,
        "End all trust in a signing key",
        access=Access.OPERATOR,
        body=KeyChange,
        body_optional=True,
        answer=Withdrawn,
        errors=("zone_not_found", "signing_key_not_found"),
        tags=("tokens",),
    ),
]
