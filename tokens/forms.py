"""The form of a token request (contract: tokens.md 4), read strictly.

Only the body counts: parameters in the query would reach access logs, and are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from django.conf import settings

from caracal_site.errors import PayloadTooLarge, UnsupportedMediaType
from caracal_site.ids import is_id
from tokens.errors import InvalidTokenRequest, UnsupportedGrantType
from tokens.gateway import GatewaySignature
from zones.rules import canonical

FORM = "application/x-www-form-urlencoded"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105
CLIENT_CREDENTIALS = "client_credentials"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
MAX_FIELDS = 256
MAX_RESOURCES = 32
MAX_RESOURCE_LENGTH = 2048
INTEGER = re.compile(r"-?[0-9]{1,9}\Z")
REFERENCES = ("session_id", "agent_session_id", "delegation_edge_id", "challenge_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A well-formed token request. An empty parameter is an absent one.

    ``resources`` and ``scopes`` have no duplicates and keep their order;
    ``ttl_seconds`` is between 1 and the longest life of a session token, and
    ``asked_ttl_seconds`` the same unless it was left to the default.
    ``gateway`` is there when any of the gateway's headers was; then ``method`` and
    ``path`` name the upstream operation.
    """

    application_id: str
    zone_id: str
    client_secret: str
    resources: tuple[str, ...]
    scopes: tuple[str, ...]
    ttl_seconds: int
    asked_ttl_seconds: int | None = None
    subject_token: str = ""
    actor_token: str = ""
    session_id: str | None = None
    agent_session_id: str | None = None
    delegation_edge_id: str | None = None
    challenge_id: str | None = None
    challenge_response: str = ""
    runtime_credential_injection: bool = False
    method: str | None = None
    path: str | None = None
    gateway: GatewaySignature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenQuestion:
    """A well-formed request about a token (RFC 7662, 7009). ``zone_id`` is empty when
    the client leaves it to its own."""

    application_id: str
    client_secret: str
    zone_id: str
    token: str
    gateway: None = None


def read(
    body: bytes,
    *,
    content_type: str,
    query: str = "",
    gateway: GatewaySignature | None = None,
) -> TokenRequest:
    """The request in ``body``.

    Raises InvalidTokenRequest, UnsupportedGrantType, UnsupportedMediaType or
    PayloadTooLarge.
    """
    fields, resources = _parsed(body, content_type=content_type, query=query)
    if fields.get("grant_type") not in (TOKEN_EXCHANGE, CLIENT_CREDENTIALS):
        raise UnsupportedGrantType
    _check_credentials(fields)
    longest = _longest_life(fields)
    ttl, is_default = _ttl(fields.get("ttl_seconds", ""), longest)
    references = {name: _reference(name, fields) for name in REFERENCES}
    return TokenRequest(
        application_id=fields.get("application_id", ""),
        zone_id=fields.get("zone_id", ""),
        client_secret=fields.get("client_secret", ""),
        resources=_checked_resources(resources),
        scopes=tuple(dict.fromkeys(fields.get("scope", "").split())),
        ttl_seconds=ttl,
        asked_ttl_seconds=None if is_default else ttl,
        subject_token=fields.get("subject_token", ""),
        actor_token=fields.get("actor_token", ""),
        challenge_response=fields.get("challenge_response", ""),
        runtime_credential_injection=_boolean("runtime_credential_injection", fields),
        method=fields.get("request_method") if gateway else None,
        path=fields.get("request_path") if gateway else None,
        gateway=gateway,
        **references,
    )


def read_about_token(
    body: bytes, *, content_type: str, query: str = ""
) -> TokenQuestion:
    """The request about a token in ``body``. Raises like ``read``."""
    fields, _ = _parsed(body, content_type=content_type, query=query)
    _check_credentials(fields)
    named = {fields.get(name, "") for name in ("application_id", "client_id")} - {""}
    if len(named) > 1:
        raise InvalidTokenRequest("application_id and client_id name two clients.")
    if not fields.get("token"):
        raise InvalidTokenRequest("A token is needed.")
    return TokenQuestion(
        application_id="".join(named),
        client_secret=fields.get("client_secret", ""),
        zone_id=fields.get("zone_id", ""),
        token=fields["token"],
    )


def _parsed(
    body: bytes, *, content_type: str, query: str
) -> tuple[dict[str, str], list[str]]:
    if query:
        raise InvalidTokenRequest(
            "Token parameters belong in the body, not in the query."
        )
    if len(body) > settings.TOKEN_BODY_LIMIT_BYTES:
        raise PayloadTooLarge
    if body and content_type.partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMediaType(f"The request body must be sent as {FORM}.")
    return _fields(body)


def _fields(body: bytes) -> tuple[dict[str, str], list[str]]:
    """The parameters that may be given once, and every ``resource``."""
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise InvalidTokenRequest("The body is not a well-formed form.") from None
    fields: dict[str, str] = {}
    resources: list[str] = []
    for name, value in pairs:
        if "\0" in value:
            raise InvalidTokenRequest("Text must not contain NUL characters.")
        if name == "resource":
            resources.append(value)
        elif name in fields:
            raise InvalidTokenRequest(
                f"Parameter {name[:64]!r} is given more than once."
            )
        else:
            fields[name] = value
    return fields, resources


def _check_credentials(fields: dict[str, str]) -> None:
    if fields.get("client_assertion"):
        raise InvalidTokenRequest(
            "client_assertion is not supported; authenticate with client_secret."
        )
    for name in ("subject_token", "actor_token"):
        token_type = fields.get(f"{name}_type")
        if fields.get(name) and token_type and token_type != ACCESS_TOKEN_TYPE:
            raise InvalidTokenRequest(f"{name}_type must be {ACCESS_TOKEN_TYPE}.")


def _checked_resources(values: list[str]) -> tuple[str, ...]:
    if any(len(resource) > MAX_RESOURCE_LENGTH for resource in values):
        raise InvalidTokenRequest(
            f"A resource identifier has at most {MAX_RESOURCE_LENGTH} characters."
        )
    # As they are kept, so that another spelling of an identifier finds it, too.
    resources = tuple(dict.fromkeys(map(_canonical, filter(None, values))))
    if len(resources) > MAX_RESOURCES:
        raise InvalidTokenRequest(f"At most {MAX_RESOURCES} resources fit one token.")
    return resources


# A client asks for the same few all the time.
_canonical = lru_cache(maxsize=4096)(canonical)


def _longest_life(fields: dict[str, str]) -> int:
    if fields.get("subject_token"):
        return int(settings.RESOURCE_TOKEN_MAX_TTL_SECONDS)
    return int(settings.SESSION_TOKEN_MAX_TTL_SECONDS)


def _ttl(text: str, longest: int) -> tuple[int, bool]:
    """The life asked for, and whether that is the default."""
    if text and (not INTEGER.match(text) or not 0 <= int(text) <= longest):
        raise InvalidTokenRequest(
            f"ttl_seconds must be an integer from 0 to {longest}."
        )
    asked = int(text or 0)
    return asked or int(settings.SESSION_TOKEN_DEFAULT_TTL_SECONDS), not asked


def _boolean(name: str, fields: dict[str, str]) -> bool:
    text = fields.get(name, "")
    if text not in ("", "true", "false"):
        raise InvalidTokenRequest(f"{name} must be true or false.")
    return text == "true"


def _reference(name: str, fields: dict[str, str]) -> str | None:
    text = fields.get(name, "")
    if text and not is_id(text):
        raise InvalidTokenRequest(f"{name} is not an identifier.")
    return text or None
