"""Grants and connected accounts as tests make them, and a provider to connect to."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from caracal_site.ids import new_id
from caracal_site.testing.endpoint import Endpoint
from zones import services
from zones.models import Provider, Resource, Zone
from zones.tests.factories import ACTOR, make_application, make_resource

CODE_KIND = "oauth2_authorization_code"
CLIENT, SECRET = "client:1", "s %&:3"


def grant_body(zone: Zone, **changes: Any) -> dict[str, Any]:
    """A good body, with an application and a resource made for it unless given."""
    if "application_id" not in changes:
        changes["application_id"] = make_application(zone).application.id
    if "resource_id" not in changes:
        name = new_id()
        changes["resource_id"] = make_resource(zone, name=name).id
    return {"user_id": "ada", "scopes": ["read"], **changes}


@dataclass
class AuthorizationServer:
    """A small authorization server on this machine: codes that are good once and for
    their verifier, refresh tokens, revocation."""

    endpoint: Endpoint
    scope: str | None = "calendar"
    expires_in: Any = 300
    gives_refresh_token: bool = True
    more: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    issued: list[str] = field(default_factory=list)
    revoked: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint.answer = self.answer

    def sign_in(self, url: str) -> tuple[str, str]:
        """What a person does at the authorization endpoint; returns state and code."""
        query = dict(parse_qsl(urlsplit(url).query))
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query["code_challenge"]
        return query["state"], code

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = self.endpoint.asked[-1]
        if asked.path == "/revoke":
            self.revoked.append(asked.form)
            respond(handler, 200, b"")
            return
        if not _is_client(asked.headers):
            respond(handler, 401, {"error": "invalid_client"})
        elif asked.form["grant_type"] == "refresh_token":
            known = asked.form["refresh_token"] in self.refresh_tokens
            self._issue(handler) if known else _invalid(handler)
        else:
            challenge = self.codes.pop(asked.form["code"], None)
            fits = challenge == _challenge(asked.form["code_verifier"])
            self._issue(handler) if fits else _invalid(handler)

    def _issue(self, handler: BaseHTTPRequestHandler) -> None:
        token = f"access-{secrets.token_urlsafe(8)}"
        self.issued.append(token)
        body: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        if self.scope is not None:
            body["scope"] = self.scope
        if self.expires_in is not None:
            body["expires_in"] = self.expires_in
        if self.gives_refresh_token:
            refresh = f"refresh-{secrets.token_urlsafe(8)}"
            self.refresh_tokens.add(refresh)
            body["refresh_token"] = refresh
        respond(handler, 200, {**body, **self.more})


def _is_client(headers: Any) -> bool:
    pair = base64.b64encode(b"client%3A1:s+%25%26%3A3").decode()
    return headers.get("Authorization") == f"Basic {pair}"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _invalid(handler: BaseHTTPRequestHandler) -> None:
    respond(handler, 400, {"error": "invalid_grant"})


def respond(handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def make_code_provider(zone: Zone, endpoint: Endpoint | None, **more: Any) -> Provider:
    """A provider that people connect accounts at."""
    base = endpoint.url(path="") if endpoint else "https://idp.example.com"
    config = {
        "authorization_endpoint": f"{base}/authorize?audience=x",
        "token_endpoint": f"{base}/token",
        "redirect_uri": f"https://api.example.com/v1/zones/{zone.id}/provider-grants"
        "/oauth/callback",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "scopes": ["calendar"],
        **more,
    }
    return services.create_provider(
        CODE_KIND, zone_id=zone.id, actor=ACTOR, name=new_id(), config_json=config
    )


def make_connectable(
    zone: Zone, endpoint: Endpoint | None = None, **more: Any
) -> tuple[Provider, Resource]:
    """A provider that people connect accounts at, and a resource that uses it."""
    provider = make_code_provider(zone, endpoint, **more)
    resource = make_resource(zone, name=new_id(), credential_provider_id=provider.id)
    return provider, resource


def account(provider: Provider, resource: Resource, **more: Any) -> dict[str, Any]:
    return {
        "user_id": "ada",
        "resource_id": resource.id,
        "provider_id": provider.id,
        **more,
    }
