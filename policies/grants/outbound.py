"""Requests to the endpoints of a provider on behalf of a user's account.

What is sent is built by Authlib and what is answered read by ``rules``; the network is
``caracal_site.egress``'s. No transaction may be open, and no connection is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import orjson
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from authlib.oauth2.rfc7009 import prepare_revoke_token_request
from django.db import connection

from caracal_site import egress
from policies.grants import errors, rules
from policies.grants.rules import TokenAnswer
from zones.provider_config import is_host_allowed
from zones.provider_kinds import BASIC, NO_AUTH

# A provider may take as long as the deadline allows, so few threads are for them.
AT_ONCE = 4
REFRESH_SECONDS = 5.0
_room = BoundedSemaphore(AT_ONCE)

Config = Mapping[str, Any]
Secrets = Mapping[str, str]


class Refused(Exception):
    """The token endpoint answered with an error; ``code`` is its word for it."""

    def __init__(self, status: int, code: str) -> None:
        told = f" and the error {code}" if code else ""
        super().__init__(f"the token endpoint answered with status {status}{told}")
        self.code = code


@contextmanager
def room() -> Iterator[None]:
    """A place among the requests under way. Raises ProviderBusy."""
    if not _room.acquire(blocking=False):
        raise errors.ProviderBusy(retry_after=int(egress.SECONDS))
    try:
        yield
    finally:
        _room.release()


def check(config: Config, secrets: Secrets) -> None:
    """Raises ProviderNotConfigured or ProviderTokenEndpointNotAllowed when tokens
    could not be asked for."""
    if not config.get("client_id"):
        raise errors.ProviderNotConfigured("the client id is missing")
    if config.get("client_auth_method") != NO_AUTH and not secrets.get("client_secret"):
        raise errors.ProviderNotConfigured("the client secret is missing")
    hosts = config.get("allowed_token_hosts") or ()
    if not is_host_allowed(str(config.get("token_endpoint", "")), hosts):
        raise errors.ProviderTokenEndpointNotAllowed(
            "the token endpoint is no https URL on one of allowed_token_hosts"
        )


def exchange_code(
    config: Config, secrets: Secrets, *, code: str, verifier: str
) -> TokenAnswer:
    """The tokens for an authorization code. Raises ProviderTokenExchangeFailed or
    ProviderTokenResponseInvalid."""
    form = prepare_token_request(
        "authorization_code",
        redirect_uri=config["redirect_uri"],
        code=code,
        code_verifier=verifier,
    )
    try:
        return _asked(config, secrets, form, egress.SECONDS)
    except (egress.Unreachable, Refused) as fault:
        raise errors.ProviderTokenExchangeFailed(_why(fault)) from None
    except ValueError as fault:
        raise errors.ProviderTokenResponseInvalid(str(fault)) from None


def refresh(config: Config, secrets: Secrets, *, refresh_token: str) -> TokenAnswer:
    """Renewed tokens. Raises egress.Unreachable, Refused or ValueError."""
    form = prepare_token_request("refresh_token", refresh_token=refresh_token)
    return _asked(config, secrets, form, REFRESH_SECONDS)


def revoke(config: Config, secrets: Secrets, *, token: str, hint: str) -> None:
    """Tells the provider that a token is not needed any more (RFC 7009), where its
    tokens may go. Raises egress.Unreachable, Refused or
    ProviderTokenEndpointNotAllowed."""
    hosts = config.get("allowed_token_hosts") or ()
    if not is_host_allowed(str(config["revocation_endpoint"]), hosts):
        raise errors.ProviderTokenEndpointNotAllowed
    form, _headers = prepare_revoke_token_request(token, hint)
    status, body = _posted(
        str(config["revocation_endpoint"]), config, secrets, form, REFRESH_SECONDS
    )
    if status >= 400:
        raise Refused(status, _code(body))


def _asked(config: Config, secrets: Secrets, form: str, seconds: float) -> TokenAnswer:
    endpoint = str(config["token_endpoint"])
    more = dict(config.get("token_params") or {})
    status, body = _posted(endpoint, config, secrets, form, seconds, more)
    if status != 200:
        raise Refused(status, _code(body))
    return rules.token_answer(body)


def _posted(
    url: str,
    config: Config,
    secrets: Secrets,
    form: str,
    seconds: float,
    more: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    method = str(config.get("client_auth_method") or BASIC)
    client_id = str(config["client_id"])
    secret = secrets.get("client_secret", "")
    if method == BASIC:
        # Form-encoded first (RFC 6749, 2.3.1): a colon in the id is no separator.
        client_id, secret = quote_plus(client_id), quote_plus(secret)
    prove = ClientAuth(client_id, secret, method)
    _url, headers, body = prove.prepare("POST", url, {}, form)
    fields = dict(parse_qsl(body, keep_blank_values=True)) | dict(more or {})
    # Others may use the connection for as long as the other side takes.
    connection.close()
    reply = egress.post_form(url, fields, headers, seconds=seconds)
    return reply.status, reply.body


def _code(body: bytes) -> str:
    """The OAuth error of an answer, and nothing else of what it says."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    code = answer.get("error") if isinstance(answer, dict) else None
    is_code = isinstance(code, str) and rules.OAUTH_ERROR.match(code)
    return str(code) if is_code else ""


def _why(fault: egress.Unreachable | Refused) -> str:
    if isinstance(fault, Refused):
        return str(fault)
    return f"the token endpoint could not be reached: {fault.why}"
