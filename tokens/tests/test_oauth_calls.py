"""Discovery, introspection and revocation (RFC 8414, 7662, 7009)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pytest_django import Settings

from audit.models import AuditEvent
from caracal_site.actors import Actor
from caracal_site.testing.client import Coordinator
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import READ, World
from tokens import forms, services
from tokens.models import Session, SigningKey
from tokens.services.issue import issue_session_token
from tokens.tests.factories import (
    LIFECYCLE,
    Client,
    claims_of,
    make_client,
    make_session,
    request_of,
    sign,
)
from tokens.tests.test_binding import Fleet
from zones import services as zones
from zones.models import Zone

INTROSPECT, REVOKE = "/oauth/2/introspect", "/oauth/2/revoke"
BOTH = pytest.mark.parametrize("path", [INTROSPECT, REVOKE])


def post(coordinator: Coordinator, path: str, fields: Any) -> httpx.Response:
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    kind = {"Content-Type": forms.FORM}
    return coordinator.request("POST", path, content=body, headers=kind)


def fields_of(client: Client, token: str, /, **changes: str | None) -> dict[str, str]:
    fields = {
        "client_id": client.id,
        "client_secret": client.secret,
        "token": token,
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def introspect(coordinator: Coordinator, client: Client, token: str) -> Any:
    answer = post(coordinator, INTROSPECT, fields_of(client, token))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json()


def token_of(client: Client, resource: str, **changes: Any) -> str:
    return issue_session_token(request_of(client, resource, **changes)).access_token


def test_the_endpoints_are_told(
    coordinator: Coordinator, settings: Settings, zone: Zone
) -> None:
    issuer = settings.ISSUER_URL
    path = "/.well-known/oauth-authorization-server"
    answer = coordinator.request("GET", path)
    told = answer.json()
    assert answer.headers["Cache-Control"] == "public, max-age=300, must-revalidate"
    assert told["issuer"] == issuer
    assert told["token_endpoint"] == f"{issuer}/oauth/2/token"
    assert told["jwks_uri"] == f"{issuer}/.well-known/jwks.json"
    assert told["introspection_endpoint"] == issuer + INTROSPECT
    assert told["revocation_endpoint"] == issuer + REVOKE
    assert told["response_types_supported"] == []
    assert set(told["grant_types_supported"]) == {
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    }
    of_zone = coordinator.request("GET", f"{path}?zone_id={zone.id}").json()
    assert of_zone["jwks_uri"].endswith(f"/jwks.json?zone_id={zone.id}")
    keys = of_zone["jwks_uri"].removeprefix(issuer)
    assert coordinator.request("GET", keys).json()["keys"]
    for query in ("zone_id=%20", "zone=x"):
        bad = coordinator.request("GET", f"{path}?{query}")
        assert (bad.status_code, bad.json()["error"]) == (400, "invalid_query")


def test_a_good_token_is_active_and_told(
    coordinator: Coordinator, client: Client, resource: str
) -> None:
    told = introspect(coordinator, client, token_of(client, resource))
    session = Session.objects.get(id=told["sid"])
    assert told["active"] is True
    assert told["token_type"] == "Bearer"
    assert (told["scope"], told["client_id"], told["sub"]) == (
        LIFECYCLE,
        client.id,
        client.id,
    )
    assert told["exp"] == session.expires_at.timestamp()
    assert told["target"] == [resource]
    assert "agent_session_id" not in told


def test_a_narrowed_token_tells_its_chain(
    coordinator: Coordinator, world: World
) -> None:
    fleet = Fleet(world)
    reader = make_client(world.zone)
    told = introspect(coordinator, reader, fleet.ask().access_token)
    assert told["active"] is True
    assert told["agent_session_id"] == fleet.clerk["agent_session_id"]
    assert told["delegation_edge_id"] == fleet.edge["delegation_edge_id"]
    assert told["hop_count"] == 1
    assert len(told["delegation_chain"]) == 2


def test_a_token_of_an_ended_edge_is_inactive(
    coordinator: Coordinator, world: World
) -> None:
    fleet = Fleet(world)
    token = fleet.ask().access_token
    assert introspect(coordinator, world.application, token)["active"] is True
    world.revoke(fleet.edge)
    assert introspect(coordinator, world.application, token) == {"active": False}


def bad_tokens(zone: Zone, client: Client, token: str) -> dict[str, str]:
    head, claims, signature = token.split(".")
    session = make_session(client)
    good = claims_of(client, sid=session.id, root_sid=session.id)
    return {
        "nonsense": "x",
        "truncated": token[:-8],
        "two parts": f"{head}.{claims}",
        "no signature": f"{head}.{claims}.",
        "swapped signature": f"{head}.{claims}.{signature[::-1]}",
        "expired": sign(
            zone, good | {"iat": good["iat"] - 999, "exp": good["iat"] - 9}
        ),
        "from the future": sign(zone, good | {"iat": good["iat"] + 120}),
        "of nobody's session": sign(zone, good | {"sid": "x", "root_sid": "x"}),
        "of another issuer": sign(zone, good | {"iss": "https://elsewhere"}),
        "very long": token + "x" * 5_000,
    }


def test_what_is_no_good_is_inactive_and_nothing_more_is_told(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    token = token_of(client, resource)
    for name, bad in bad_tokens(zone, client, token).items():
        assert introspect(coordinator, client, bad) == {"active": False}, name


def test_a_token_of_another_zone_is_inactive(
    coordinator: Coordinator, elsewhere: Zone, client: Client, resource: str
) -> None:
    token = token_of(client, resource)
    assert introspect(coordinator, make_client(elsewhere), token) == {"active": False}


def test_a_token_of_a_withdrawn_key_is_inactive_at_once(
    coordinator: Coordinator, zone: Zone, actor: Actor, client: Client, resource: str
) -> None:
    token = token_of(client, resource)
    assert introspect(coordinator, client, token)["active"] is True
    key = SigningKey.objects.get(zone=zone)
    services.withdraw_signing_key(key.id, zone_id=zone.id, actor=actor, reason="stolen")
    assert introspect(coordinator, client, token) == {"active": False}


def test_a_revoked_token_opens_nothing_any_more(
    coordinator: Coordinator, world: World, events: Events
) -> None:
    client = world.application
    session = world.session(client)
    token = world.token(root_sid=session.id)
    agent = world.spawn()
    other = make_session(client)
    events.take()
    answer = post(coordinator, REVOKE, fields_of(client, token))
    assert (answer.status_code, answer.json()) == (200, {})
    assert introspect(coordinator, client, token) == {"active": False}
    refused = world.get("/agents", token=token)
    assert (refused.status_code, refused.json()["error"]) == (401, "identity_revoked")
    session.refresh_from_db()
    assert (session.status, session.revoked_reason) == ("revoked", "token_revoked")
    row = world.agent(agent)
    assert (row.status, row.termination_reason) == ("terminated", "token_revoked")
    other.refresh_from_db()
    assert other.status == "active"
    left = events.take()
    assert {
        "zone_id": world.zone.id,
        "session_id": session.id,
        "reason": "token_revoked",
    } in left.payloads("caracal.sessions.revoke")
    assert left.audit[-1].entity_id == session.id
    assert left.audit[-1].actor_id == client.id
    world.assert_sound()


def test_what_was_issued_under_a_revoked_session_ends_with_it(
    coordinator: Coordinator, world: World
) -> None:
    client = world.application
    session = world.session(client)
    child = make_session(client, parent_id=session.id)
    post(coordinator, REVOKE, fields_of(client, world.token(root_sid=session.id)))
    child.refresh_from_db()
    assert child.status == "revoked"


def test_revoking_again_or_nonsense_changes_nothing(
    coordinator: Coordinator,
    zone: Zone,
    client: Client,
    resource: str,
    events: Events,
) -> None:
    token = token_of(client, resource)
    assert post(coordinator, REVOKE, fields_of(client, token)).status_code == 200
    events.take()
    given = [token, *bad_tokens(zone, client, token).values()]
    for bad in given:
        assert post(coordinator, REVOKE, fields_of(client, bad)).status_code == 200
    assert not events.take().audit


def test_only_the_client_of_a_token_revokes_it(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    token = token_of(client, resource)
    answer = post(coordinator, REVOKE, fields_of(make_client(zone), token))
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert introspect(coordinator, client, token)["active"] is True


@BOTH
def test_the_client_proves_itself_as_at_the_token_endpoint(
    coordinator: Coordinator,
    zone: Zone,
    elsewhere: Zone,
    actor: Actor,
    client: Client,
    resource: str,
    path: str,
) -> None:
    token = token_of(client, resource)
    refused: dict[str, tuple[dict[str, str | None], tuple[int, str]]] = {
        "wrong secret": ({"client_secret": "cs_guess"}, (401, "access_denied")),
        "no secret": ({"client_secret": None}, (401, "access_denied")),
        "no client": ({"client_id": None}, (401, "access_denied")),
        "unknown": ({"client_id": "nobody"}, (401, "access_denied")),
        "NUL": ({"client_id": "a\0b"}, (400, "invalid_request")),
        "another zone": ({"zone_id": elsewhere.id}, (403, "zone_invalid")),
        "two": ({"application_id": "other"}, (400, "invalid_request")),
        "no token": ({"token": None}, (400, "invalid_request")),
        "assertion": ({"client_assertion": "x"}, (400, "invalid_request")),
    }
    for name, (changes, wanted) in refused.items():
        answer = post(coordinator, path, fields_of(client, token, **changes))
        assert (answer.status_code, answer.json()["error"]) == wanted, name
    failures = AuditEvent.objects.filter(zone_id=elsewhere.id, decision="deny")
    assert failures.get().evaluation_status == "zone_invalid"
    own = fields_of(client, token, client_id=None, application_id=client.id)
    assert post(coordinator, path, {**own, "zone_id": zone.id}).status_code == 200
    zones.archive_application(client.id, zone_id=zone.id, actor=actor, reason="gone")
    answer = post(coordinator, path, fields_of(client, token))
    assert (answer.status_code, answer.json()["error"]) == (401, "access_denied")


@BOTH
def test_a_strange_form_is_refused(
    coordinator: Coordinator, client: Client, path: str
) -> None:
    body = urlencode(fields_of(client, "x")).encode()
    kind = {"Content-Type": forms.FORM}
    for query, content, headers, wanted in (
        ("?token=x", body, kind, (400, "invalid_request")),
        ("", body + b"&token=y", kind, (400, "invalid_request")),
        ("", b"\xff=1", kind, (400, "invalid_request")),
        ("", body + b"&x=" + b"y" * 70_000, kind, (413, "payload_too_large")),
        ("", b"{}", {"Content-Type": "application/json"}, (415, "")),
    ):
        answer = coordinator.request(
            "POST", path + query, content=content, headers=headers
        )
        assert answer.status_code == wanted[0]
        assert answer.json()["error"].startswith(wanted[1])


def test_guessing_secrets_is_throttled_there_too(
    coordinator: Coordinator, client: Client, settings: Settings
) -> None:
    settings.TOKEN_AUTH_FAIL_LIMIT_PER_MIN = 2
    sent = fields_of(client, "x", client_secret="cs_guess")
    statuses = [post(coordinator, INTROSPECT, sent).status_code for _ in range(4)]
    assert statuses == [401, 401, 429, 429]


def test_a_busy_client_is_told_when_to_come_back(
    coordinator: Coordinator, client: Client, settings: Settings
) -> None:
    settings.TOKEN_RATE_LIMIT_PER_MIN = 1
    answers = [post(coordinator, INTROSPECT, fields_of(client, "x")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].json()["error"] == "provider_rate_limited"
    assert int(answers[1].headers["Retry-After"]) > 0


def test_a_token_for_a_resource_is_introspected_as_well(
    coordinator: Coordinator, zone: Zone, client: Client
) -> None:
    session = make_session(client)
    claims = claims_of(
        client,
        sid=session.id,
        root_sid=session.id,
        use="resource",
        aud=["resource://invoices"],
        scope=READ,
    )
    told = introspect(coordinator, client, sign(zone, claims))
    assert (told["active"], told["use"]) == (True, "resource")
    assert told["aud"] == ["resource://invoices"]
