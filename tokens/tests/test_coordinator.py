"""The token endpoint, the key sets and the operator's routes, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.conf import settings
from joserfc import jws
from joserfc.jwk import KeySet

from audit.models import AdminAuditEvent, AuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.client import Coordinator
from tokens import forms
from tokens.models import SigningKey
from tokens.tests.factories import Client, claims_of, form_of, make_client, sign
from zones.models import Zone

TOKEN = "/oauth/2/token"
FORM = {"Content-Type": forms.FORM}


def ask(
    coordinator: Coordinator, client: Client, resource: str, /, **changes: Any
) -> httpx.Response:
    content = form_of(client, resource, **changes)
    return coordinator.post(TOKEN, content=content, headers=FORM)


def test_a_token_is_issued_and_never_stored(
    coordinator: Coordinator, client: Client, resource: str
) -> None:
    """W-8."""
    response = ask(coordinator, client, resource)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert list(response.json()) == [
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "issued_token_type",
        "target_resources",
    ]


def test_an_issued_token_lists_agents(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    token = ask(coordinator, client, resource).json()["access_token"]
    assert coordinator.get(f"/zones/{zone.id}/agents", token=token).status_code == 200
    elsewhere = coordinator.get(f"/zones/{new_id()}/agents", token=token)
    assert (elsewhere.status_code, elsewhere.json()["error"]) == (403, "zone_mismatch")


def test_an_issued_token_verifies_with_the_published_keys(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    token = ask(coordinator, client, resource).json()["access_token"]
    document = coordinator.get(f"/.well-known/jwks.json?zone_id={zone.id}").json()
    published = KeySet.import_key_set(document)
    assert jws.deserialize_compact(token, published, ["ES256"])


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"ttl_seconds": "3601"}, 400, "invalid_request"),
        ({"resource": None}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "access_denied"),
        ({"application_id": None}, 401, "access_denied"),
        ({"challenge_id": "x"}, 401, "access_denied"),
        ({"zone_id": "another"}, 403, "zone_invalid"),
        ({"scope": "undeclared"}, 403, "access_denied"),
        ({"subject_token": "x"}, 403, "access_denied"),
    ],
    ids=str,
)
def test_a_refusal_has_its_status_and_code(
    coordinator: Coordinator,
    client: Client,
    resource: str,
    changes: dict[str, Any],
    status: int,
    code: str,
) -> None:
    response = ask(coordinator, client, resource, **changes)
    assert (response.status_code, response.json()["error"]) == (status, code)
    assert response.json()["requestId"] == response.headers["X-Request-ID"]
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "code"),
    [
        (f"{TOKEN}?a=b", b"", FORM, 400, "invalid_request"),
        (TOKEN, b"", {}, 400, "unsupported_grant_type"),
        (TOKEN, b"{}", {"Content-Type": "application/json"}, 415, None),
        (TOKEN, b"x" * 65_537, FORM, 413, "payload_too_large"),
        (TOKEN, b"x" * 2_000_000, FORM, 413, "payload_too_large"),
        (TOKEN, b"scope=%FF", FORM, 400, "invalid_request"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_malformed_request_is_told_so(
    coordinator: Coordinator,
    path: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
    code: str | None,
) -> None:
    """W-26: it was an `invalid_token`."""
    response = coordinator.post(path, content=content, headers=headers)
    assert response.status_code == status
    assert response.json()["error"] == (code or "unsupported_media_type")


def test_a_gateway_header_makes_a_request_a_gateway_s(
    coordinator: Coordinator, client: Client, resource: str
) -> None:
    headers = FORM | {"X-Caracal-Gateway-Signature": "00"}
    content = form_of(client, resource)
    response = coordinator.post(TOKEN, content=content, headers=headers)
    assert (response.status_code, response.json()["error"]) == (401, "access_denied")


def test_a_failure_is_recorded_with_the_caller_s_address(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    ask(coordinator, client, resource, client_secret="wrong")
    event = AuditEvent.objects.filter(zone_id=zone.id).first()
    assert event is not None
    assert event.metadata_json["source"] == coordinator.address


def test_the_ledger_names_the_request(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    response = ask(coordinator, client, resource)
    event = AuditEvent.objects.get(zone_id=zone.id)
    assert event.request_id == response.headers["X-Request-ID"]


def test_a_token_is_only_posted_for(coordinator: Coordinator) -> None:
    response = coordinator.get(TOKEN)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


def test_a_key_set_may_be_cached_for_five_minutes(
    coordinator: Coordinator, zone: Zone
) -> None:
    response = coordinator.get(f"/.well-known/jwks.json?zone_id={zone.id}")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "public, max-age=300, must-revalidate"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    [jwk] = response.json()["keys"]
    assert jwk.keys() == {"kty", "crv", "use", "alg", "kid", "x", "y"}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "invalid_token"),
        ("?zone_id=unknown", 404, "resource_not_found"),
        ("?zone_id=a%20b", 404, "resource_not_found"),
        ("?zone_id=a&zone_id=b", 400, "invalid_query"),
        ("?zone_id=%00", 400, "invalid_query"),
    ],
)
def test_a_key_set_needs_a_zone(
    coordinator: Coordinator, query: str, status: int, code: str
) -> None:
    response = coordinator.get(f"/.well-known/jwks.json{query}")
    assert (response.status_code, response.json()["error"]) == (status, code)


def test_the_operator_rotates_and_withdraws_keys(
    coordinator: Coordinator, zone: Zone
) -> None:
    operator = settings.CARACAL_COORDINATOR_TOKEN
    first = SigningKey.objects.in_zone(zone.id).get().id
    rotate = f"/internal/zones/{zone.id}/signing-key/rotate"
    rotated = coordinator.post(rotate, token=operator)
    second = rotated.json()["kid"]
    assert rotated.json() == {"rotated": True, "zone_id": zone.id, "kid": second}
    again = coordinator.post(rotate, {"reason": "again"}, token=operator)
    assert (again.status_code, again.json()["error"]) == (409, "rotation_pending")
    withdraw = f"/internal/zones/{zone.id}/signing-keys/{first}/withdraw"
    withdrawn = coordinator.post(withdraw, {"reason": "stolen"}, token=operator)
    assert withdrawn.json() == {"withdrawn": True, "zone_id": zone.id, "kid": first}
    assert SigningKey.objects.get(id=second).state == "signing"
    event = AdminAuditEvent.objects.in_zone(zone.id).get(entity_id=first)
    assert event.actor_id == "caracal-operator"
    assert event.payload_json["reason"] == "stolen"


@pytest.mark.parametrize("path", ["signing-key/rotate", "signing-keys/x/withdraw"])
def test_nobody_else_touches_keys(
    coordinator: Coordinator, zone: Zone, client: Client, path: str
) -> None:
    token = sign(zone, claims_of(client, scope="agent:lifecycle coordinator.admin"))
    for bearer, status in ((None, 401), (token, 403)):
        response = coordinator.post(f"/internal/zones/{zone.id}/{path}", token=bearer)
        assert response.status_code == status
    assert SigningKey.objects.in_zone(zone.id).count() == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({}, 200, None),
        ({"sub": None}, 401, "invalid_token"),
        ({"client_id": None}, 401, "invalid_token"),
        ({"exp": 1}, 401, "invalid_token"),
        ({"exp": None}, 401, "invalid_token"),
        ({"scope": "x"}, 403, "missing_scope"),
        ({"client_id": "nobody"}, 401, "identity_revoked"),
        ({"sid": "nothing"}, 401, "identity_revoked"),
        ({"agent_session_id": "nothing"}, 401, "identity_revoked"),
    ],
    ids=str,
)
def test_the_coordinator_judges_tokens_as_the_contract_says(
    coordinator: Coordinator,
    zone: Zone,
    client: Client,
    changes: dict[str, Any],
    status: int,
    code: str | None,
) -> None:
    token = sign(zone, claims_of(client, **changes))
    response = coordinator.get(f"/zones/{zone.id}/agents", token=token)
    assert (response.status_code, response.json().get("error")) == (status, code)


def test_the_missing_scope_goes_before_the_zone_mismatch(
    coordinator: Coordinator, zone: Zone
) -> None:
    token = sign(zone, claims_of(make_client(zone), scope="x"))
    response = coordinator.get(f"/zones/{new_id()}/agents", token=token)
    assert (response.status_code, response.json()["error"]) == (403, "missing_scope")
