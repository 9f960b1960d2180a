"""What grants may say, and what providers' answers mean: no database or settings."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from authlib.oauth2.rfc7636 import create_s256_code_challenge

MAX_ID = 128
MAX_USER = 512
MAX_SCOPE, MAX_SCOPES = 200, 64
MAX_TOKEN = 32_768
MAX_SECONDS = 2**31 - 1
MAX_UPSTREAM = 200
SCOPE = re.compile(r"[a-z0-9:_./-]+\Z")
OAUTH_ERROR = re.compile(r"[a-z_]{1,64}\Z")
NUMBER = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?\Z")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


def is_scope(text: str) -> bool:
    """Whether ``text`` is a scope that can be granted."""
    return len(text) <= MAX_SCOPE and SCOPE.match(text) is not None


def exceed(scopes: Sequence[str], available: Collection[str]) -> bool:
    """Whether a scope is not literally among those there are."""
    return not set(scopes) <= set(available)


def authorization_url(config: Mapping[str, Any], state: str, verifier: str) -> str:
    """Where a person signs in at the provider. Raises ValueError with what is wrong
    with the endpoint.

    Parameters the endpoint's URL has already are replaced by those of the same name.
    """
    parts = urlsplit(str(config["authorization_endpoint"]))
    if parts.scheme.lower() != "https" or not parts.hostname or "@" in parts.netloc:
        raise ValueError("the authorization endpoint is no https URL without a user")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query |= config.get("authorization_params") or {}
    query |= {
        "response_type": "code",
        "client_id": config["client_id"],
        "redirect_uri": config["redirect_uri"],
        "state": state,
    }
    if config.get("scopes"):
        query["scope"] = " ".join(config["scopes"])
    query["code_challenge"] = create_s256_code_challenge(verifier)
    query["code_challenge_method"] = "S256"
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def is_issuer(issuer: str, config: Mapping[str, Any]) -> bool:
    """Whether an answer that names its issuer (RFC 9207) is of this provider: the
    issuer it is configured with, or one on the host of an endpoint of it."""
    if config.get("issuer"):
        return bool(issuer == config["issuer"])
    try:
        host = urlsplit(issuer).hostname
    except ValueError:
        return False
    endpoints = ("authorization_endpoint", "token_endpoint")
    hosts = {urlsplit(str(config.get(name, ""))).hostname for name in endpoints}
    return host is not None and host in hosts


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a token endpoint gave. ``scopes`` and ``account`` are None where it did not
    say; ``expires_in`` is in whole seconds."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_in: int | None = None
    scopes: tuple[str, ...] | None = None
    account: str | None = None


def token_answer(body: bytes) -> TokenAnswer:
    """Reads the body of a success. Raises ValueError with what is wrong with it."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("the answer is not JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a JSON object")
    access = answer.get("access_token")
    if not _is_token(access):
        raise ValueError("the answer has no access token")
    kind = answer.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise ValueError("the token is not a bearer token")
    refresh, scope = answer.get("refresh_token"), answer.get("scope")
    return TokenAnswer(
        str(access),
        str(refresh) if _is_token(refresh) else None,
        _seconds(answer.get("expires_in")),
        _scopes(scope) if isinstance(scope, str) else None,
        _account(answer.get("id_token")),
    )


def _is_token(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_TOKEN
        and value.isascii()
        and value.isprintable()
    )


def _seconds(given: Any) -> int | None:
    """A lifetime, also written as text; None where none is told that could be one."""
    if isinstance(given, str) and NUMBER.match(given):
        given = float(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    if not math.isfinite(given) or given <= 0:
        return None
    return min(math.floor(given), MAX_SECONDS)


def _scopes(text: str) -> tuple[str, ...]:
    # Some providers divide by commas.
    words = text.replace(",", " ").replace("\0", " ").split()
    return tuple(dict.fromkeys(word[:MAX_SCOPE] for word in words[:MAX_SCOPES]))


def _account(id_token: Any) -> str | None:
    """The subject of an ID token, which came from its issuer over TLS and so needs no
    signature to be believed (OpenID Connect Core 3.1.3.7)."""
    if not isinstance(id_token, str) or id_token.count(".") != 2:
        return None
    claims = id_token.split(".")[1]
    padded = claims + "=" * (-len(claims) % 4)
    try:
        found = orjson.loads(base64.urlsafe_b64decode(padded))
    except ValueError:
        return None
    subject = found.get("sub") if isinstance(found, dict) else None
    if not isinstance(subject, str) or not subject.isprintable():
        return None
    return subject[:MAX_UPSTREAM]


def lifetime(expires_in: int | None, *, renewable: bool, most: int) -> int | None:
    """For how many seconds a token is used before it is renewed; None for as long as
    it works.

    What can be renewed is, ``most`` seconds on at the latest. What cannot lasts as the
    provider says; and when that says nothing, it does not expire.
    """
    if not renewable:
        return expires_in
    return most if expires_in is None else min(expires_in, most)
