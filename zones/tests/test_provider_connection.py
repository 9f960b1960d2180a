"""Trying providers out, at a token endpoint on this machine."""

from __future__ import annotations

import base64
import socket
import threading
from typing import Any
from urllib.parse import unquote_plus

import pytest
from django.db import connection

from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.endpoint import Endpoint
from caracal_site.testing.races import Threads
from zones import services
from zones.models import Provider, Zone
from zones.services import provider_connection
from zones.tests.factories import ACTOR, told

CC, AC = "oauth2_client_credentials", "oauth2_authorization_code"


def make(api: Api, zone: Zone, kind: str, **config: Any) -> dict[str, Any]:
    body = {"name": new_id(), "kind": kind, "config_json": config}
    return made(api.post(f"/v1/zones/{zone.id}/providers", body))


def client(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    whole = {
        "token_endpoint": endpoint.url(),
        "client_id": "c:d+é",
        "client_secret": "s %&:3",
    }
    return {**whole, **more}


def code(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    whole = {
        "authorization_endpoint": "https://idp.example.com/auth",
        "redirect_uri": "https://c.example.com/cb",
    }
    return {**client(endpoint), **whole, **more}


def check(api: Api, provider: dict[str, Any]) -> dict[str, Any]:
    mine = f"/v1/zones/{provider['zone_id']}/providers/{provider['id']}/test"
    answer = api.post(mine)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    assert found.keys() == {"status", "detail", "checked_at"}
    return found


def test_client_credentials_are_asked_for_with_all_that_is_configured(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    config = client(
        endpoint,
        scopes=["a", "b"],
        audience="aud",
        resource="res",
        token_params={"x": "y"},
    )
    assert check(api, make(api, zone, CC, **config))["status"] == "ok"
    (asked,) = endpoint.asked
    assert asked.form == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "audience": "aud",
        "resource": "res",
        "x": "y",
    }
    assert asked.name == "localhost"


def test_basic_credentials_are_form_encoded_first(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    check(api, make(api, zone, CC, **client(endpoint)))
    scheme, _, encoded = endpoint.asked[0].headers["Authorization"].partition(" ")
    pair = base64.b64decode(encoded).decode()
    assert (scheme, pair) == ("Basic", "c%3Ad%2B%C3%A9:s+%25%26%3A3")
    assert [unquote_plus(part) for part in pair.split(":")] == ["c:d+é", "s %&:3"]
    assert "client_secret" not in endpoint.asked[0].form


@pytest.mark.parametrize(
    ("method", "sent"),
    [
        ("client_secret_post", {"client_id": "c:d+é", "client_secret": "s %&:3"}),
        ("none", {"client_id": "c:d+é"}),
    ],
)
def test_credentials_may_go_into_the_form(
    api: Api, zone: Zone, endpoint: Endpoint, method: str, sent: dict[str, str]
) -> None:
    config = client(endpoint, client_auth_method=method)
    assert check(api, make(api, zone, CC, **config))["status"] == "ok"
    (asked,) = endpoint.asked
    assert asked.form == {"grant_type": "client_credentials", **sent}
    assert "Authorization" not in asked.headers


def test_an_authorization_code_is_made_up(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    endpoint.status, endpoint.body = 400, {"error": "invalid_grant"}
    assert check(api, make(api, zone, AC, **code(endpoint)))["status"] == "ok"
    form = endpoint.asked[0].form
    assert form.keys() == {"grant_type", "code", "redirect_uri", "code_verifier"}
    assert form["redirect_uri"] == "https://c.example.com/cb"
    assert len(form["code_verifier"]) >= 43


@pytest.mark.parametrize(
    ("kind", "status", "body", "outcome"),
    [
        (CC, 200, {"access_token": "t"}, "ok"),
        (CC, 200, {"access_token": 1}, "endpoint_error"),
        (CC, 200, {}, "endpoint_error"),
        (CC, 200, b"<html>", "endpoint_error"),
        (CC, 200, [1], "endpoint_error"),
        (CC, 400, {"error": "invalid_client"}, "auth_failed"),
        (CC, 400, {"error": "unauthorized_client"}, "auth_failed"),
        (CC, 401, b"", "auth_failed"),
        (CC, 400, {"error": "invalid_scope"}, "endpoint_error"),
        (CC, 400, {"error": "invalid_grant"}, "endpoint_error"),
        (CC, 302, b"", "endpoint_error"),
        (CC, 500, b"\xff\xfe", "endpoint_error"),
        (AC, 400, {"error": "invalid_grant"}, "ok"),
        (AC, 400, {"error": "invalid_client"}, "auth_failed"),
        (AC, 401, {}, "auth_failed"),
        (AC, 400, {"error": "unauthorized_client"}, "endpoint_error"),
        (AC, 200, {"access_token": "t"}, "endpoint_error"),
        (AC, 404, b"", "endpoint_error"),
    ],
)
def test_the_answer_decides(
    api: Api,
    zone: Zone,
    endpoint: Endpoint,
    kind: str,
    status: int,
    body: Any,
    outcome: str,
) -> None:
    endpoint.status, endpoint.body = status, body
    config = client(endpoint) if kind == CC else code(endpoint)
    assert check(api, make(api, zone, kind, **config))["status"] == outcome


@pytest.mark.parametrize(
    ("error", "is_told"),
    [("invalid_scope", True), ("s %&:3", False), ("x" * 65, False), (["a"], False)],
)
def test_no_more_of_an_answer_is_told_than_an_error_code(
    api: Api, zone: Zone, endpoint: Endpoint, error: Any, is_told: bool
) -> None:
    endpoint.status = 400
    endpoint.body = {"error": error, "error_description": "the secret is s %&:3"}
    detail = check(api, make(api, zone, CC, **client(endpoint)))["detail"]
    assert (str(error) in detail) is is_told
    assert "s %&:3" not in detail


def test_a_test_leaves_evidence_of_its_outcome(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    provider = make(api, zone, CC, **client(endpoint))
    check(api, provider)
    rows = AdminAuditEvent.objects.filter(entity_id=provider["id"])
    row = rows.order_by("-position").first()
    assert told(row) == {
        "event": "provider.tested",
        "changed_fields": [],
        "status": "ok",
    }
    assert (row.entity_type, row.status_code) == ("providers", 200)
    assert row.path == f"/v1/zones/{zone.id}/providers/{provider['id']}/test"


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("none", {}),
        ("caracal_mandate", {}),
        ("api_key", {"header_name": "X", "api_key": "k"}),
        ("bearer_token", {"bearer_token": "t"}),
        (
            CC,
            {
                "token_endpoint": "https://idp.example.com/",
                "client_id": "c",
                "client_auth_method": "private_key_jwt",
                "private_key": "pem",
            },
        ),
    ],
)
def test_some_kinds_cannot_be_tried_out(
    api: Api, zone: Zone, kind: str, config: dict[str, Any]
) -> None:
    assert check(api, make(api, zone, kind, **config))["status"] == "untestable"


def test_an_endpoint_on_another_host_than_allowed_is_not_asked(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    config = client(endpoint, allowed_token_hosts=["idp.example.com"])
    assert check(api, make(api, zone, CC, **config))["status"] == "config_error"
    config = client(endpoint, allowed_token_hosts=["LOCALHOST"])
    assert check(api, make(api, zone, CC, **config))["status"] == "ok"
    assert len(endpoint.asked) == 1


def test_secrets_that_do_not_open_are_told(
    api: Api, zone: Zone, endpoint: Endpoint, settings: Any
) -> None:
    provider = make(api, zone, CC, **client(endpoint))
    settings.ZONE_KEK = "ab" * 16 + "cd" * 16
    assert check(api, provider)["status"] == "config_error"
    Provider.objects.filter(id=provider["id"]).update(
        sealed_secrets=None, secret_config_keys=[]
    )
    assert "secret is missing" in check(api, provider)["detail"]
    assert endpoint.asked == []


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_the_inside_is_not_reachable(
    api: Api, zone: Zone, endpoint: Endpoint, settings: Any, host: str
) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []
    config = client(endpoint, token_endpoint=endpoint.url(host))
    found = check(api, make(api, zone, CC, **config))
    assert found["status"] == "unreachable"
    assert "requests may not go to" in found["detail"]
    assert endpoint.asked == []


def test_an_endpoint_that_is_not_there_is_unreachable(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = client(endpoint, token_endpoint=f"https://127.0.0.1:{port}/")
    assert check(api, make(api, zone, CC, **config))["status"] == "unreachable"
    endpoint.body = b"x" * 70_000
    found = check(api, make(api, zone, CC, **client(endpoint)))
    assert found["status"] == "unreachable"
    assert "larger" in found["detail"]


def test_tests_that_last_take_little_room_and_give_it_back(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    provider = make(api, zone, CC, **client(endpoint))
    room = provider_connection.AT_ONCE
    arrived, answer = threading.Semaphore(0), threading.Event()

    def hold(handler: Any) -> None:
        arrived.release()
        answer.wait(20)
        handler.send_error(503)

    endpoint.answer = hold

    def test() -> Any:
        return services.check_connection(
            provider["id"], zone_id=zone.id, actor=ACTOR
        ).status

    with Threads(room) as threads:
        started = [threads.start(test) for _ in range(room)]
        for _ in range(room):
            assert arrived.acquire(timeout=20)
        mine = f"/v1/zones/{zone.id}/providers/{provider['id']}/test"
        refused = api.post(mine)
        assert refusal(refused) == (429, "provider_test_rate_limited")
        assert int(refused["Retry-After"]) >= 1
        assert waiting_in_transactions() == 0
        answer.set()
        assert {future.result(30) for future in started} == {"endpoint_error"}
    endpoint.answer = None
    assert check(api, provider)["status"] == "ok"


def waiting_in_transactions() -> int:
    """How many connections of this database keep a transaction open for nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%%'",
            [],
        )
        return int(cursor.fetchone()[0])


def test_an_archived_provider_is_not_tried_out(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    provider = make(api, zone, CC, **client(endpoint))
    mine = f"/v1/zones/{zone.id}/providers/{provider['id']}"
    assert api.delete(mine).status_code == 204
    assert refusal(api.post(f"{mine}/test")) == (404, "provider_not_found")
    assert endpoint.asked == []
