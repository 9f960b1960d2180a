"""Requests to the token endpoint of a provider, and what their answers mean: pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import orjson

from zones.models import ProviderKind
from zones.provider_config import is_host_allowed
from zones.provider_kinds import BASIC, NO_AUTH, PRIVATE_KEY_JWT

OK, UNTESTABLE, CONFIG_ERROR = "ok", "untestable", "config_error"
UNREACHABLE, AUTH_FAILED, ENDPOINT_ERROR = (
    "unreachable",
    "auth_failed",
    "endpoint_error",
)
STATUSES = (OK, UNTESTABLE, CONFIG_ERROR, UNREACHABLE, AUTH_FAILED, ENDPOINT_ERROR)
OAUTH_ERROR = re.compile(r"[a-z_]{1,64}\Z")
CLIENT_REFUSED = frozenset({"invalid_client", "unauthorized_client"})
# A code nobody was given, with a verifier as long as the protocol wants.
PLACEHOLDER = "caracal-connection-test-placeholder-0000000"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A form to post; it holds secrets."""

    url: str
    form: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test found out: one of ``STATUSES``, and a sentence for people."""

    status: str
    detail: str


def testing(
    kind: str, config: Mapping[str, Any], secrets: Mapping[str, str]
) -> TokenRequest | Verdict:
    """The request that tries a provider out, or why there is none to make."""
    match kind:
        case ProviderKind.OAUTH2_CLIENT_CREDENTIALS:
            form = _client_credentials(config)
        case ProviderKind.OAUTH2_AUTHORIZATION_CODE:
            form = _placeholder_code(config)
        case _:
            detail = f"A provider of kind {kind} has nothing to connect to."
            return Verdict(UNTESTABLE, detail)
    if config.get("client_auth_method") == PRIVATE_KEY_JWT:
        return Verdict(UNTESTABLE, f"{PRIVATE_KEY_JWT} cannot be tried out from here.")
    fault = _fault(config, secrets)
    if fault:
        return Verdict(CONFIG_ERROR, fault)
    form |= config.get("token_params", {})
    headers = _prove(form, config, secrets)
    return TokenRequest(config["token_endpoint"], form, headers)


def _client_credentials(config: Mapping[str, Any]) -> dict[str, str]:
    form = {"grant_type": "client_credentials"}
    if config.get("scopes"):
        form["scope"] = " ".join(config["scopes"])
    for name in ("audience", "resource"):
        if config.get(name):
            form[name] = config[name]
    return form


def _placeholder_code(config: Mapping[str, Any]) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": PLACEHOLDER,
        "redirect_uri": config.get("redirect_uri", ""),
        "code_verifier": PLACEHOLDER,
    }


def _fault(config: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
    if not config.get("client_id"):
        return "The client id is missing."
    if config.get("client_auth_method") != NO_AUTH and not secrets.get("client_secret"):
        return "The client secret is missing."
    hosts = config.get("allowed_token_hosts") or ()
    if not is_host_allowed(config.get("token_endpoint", ""), hosts):
        return "The token endpoint is no https URL on one of allowed_token_hosts."
    return ""


def _prove(
    form: dict[str, str], config: Mapping[str, Any], secrets: Mapping[str, str]
) -> dict[str, str]:
    """Adds to ``form`` what proves who the client is; returns the headers that do."""
    client_id, method = config["client_id"], config.get("client_auth_method", BASIC)
    if method == BASIC:
        # Form-encoded first (RFC 6749, 2.3.1): a colon in the id is no separator.
        pair = ":".join(map(quote_plus, (client_id, secrets["client_secret"])))
        encoded = base64.b64encode(pair.encode()).decode()
        return {"Authorization": f"Basic {encoded}"}
    form["client_id"] = client_id
    if method != NO_AUTH:
        form["client_secret"] = secrets["client_secret"]
    return {}


def verdict(kind: str, status: int, body: bytes) -> Verdict:
    """What the answer to a test says; of its body, no more than an error code."""
    answer = _object(body)
    code = answer.get("error")
    code = code if isinstance(code, str) and OAUTH_ERROR.match(code) else ""
    said = f" and the error {code}" if code else ""
    told = f"The token endpoint answered with status {status}{said}"
    if kind == ProviderKind.OAUTH2_CLIENT_CREDENTIALS:
        if status == 200 and isinstance(answer.get("access_token"), str):
            return Verdict(OK, "The token endpoint issued a token.")
        if status == 200:
            return Verdict(ENDPOINT_ERROR, f"{told}, but without an access token.")
    elif code == "invalid_grant":
        detail = "The token endpoint accepted the client and refused the made-up code."
        return Verdict(OK, detail)
    if status == 401 or code in _refusals(kind):
        return Verdict(AUTH_FAILED, f"{told}: it does not accept the client.")
    if 300 <= status < 400:
        return Verdict(ENDPOINT_ERROR, f"{told}; redirects are not followed.")
    return Verdict(ENDPOINT_ERROR, f"{told}.")


def _refusals(kind: str) -> frozenset[str]:
    if kind == ProviderKind.OAUTH2_CLIENT_CREDENTIALS:
        return CLIENT_REFUSED
    return frozenset({"invalid_client"})


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
