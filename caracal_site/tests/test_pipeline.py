"""The coordinator's request pipeline: what is asked first, how it is answered (D2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as configured
from django.utils import timezone

from agents.models import AgentSession
from audit.models import AdminAuditEvent
from caracal_site.ids import ID_PATTERN, new_id
from caracal_site.testing.client import Coordinator
from caracal_site.testing.world import World, refusal
from tokens.models import Session
from zones.models import Application, Zone

BAD_BODY = b"{not json"
REVOKED = (401, "identity_revoked")


# Who is asked before what.


def test_who_calls_is_asked_before_everything_else(coordinator: Coordinator) -> None:
    for path in (
        "/zones/x y/agents?limit=zzz",
        "/nowhere",
        "/zones/z/agents/i/suspend",
    ):
        answer = coordinator.post(path, content=BAD_BODY * 200_000)
        assert refusal(answer) == (401, "missing_token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "bearer x", "Basic x", "x"]
)
def test_anything_but_a_bearer_is_a_missing_token(
    coordinator: Coordinator, header: str
) -> None:
    answer = coordinator.get("/zones/z/agents", headers={"Authorization": header})
    assert refusal(answer) == (401, "missing_token")


@pytest.mark.parametrize("token", [b"\xe9", "é".encode(), b"a.b.\xff"])
def test_a_token_beyond_ascii_is_an_invalid_one(
    coordinator: Coordinator, token: bytes
) -> None:
    given: Any = {"Authorization": b"Bearer " + token}
    answer = coordinator.get("/zones/z/agents", headers=given)
    assert refusal(answer) == (401, "invalid_token")


def test_a_giant_token_is_a_missing_one(coordinator: Coordinator) -> None:
    for length, code in ((4096, "invalid_token"), (4097, "missing_token")):
        answer = coordinator.get("/zones/z/agents", token="x" * length)
        assert refusal(answer) == (401, code)


def test_the_scope_is_asked_before_the_zone(world: World, elsewhere: Zone) -> None:
    token = world.token(scope="other")
    answer = world.coordinator.post(f"/zones/{elsewhere.id}/agents", token=token)
    assert refusal(answer) == (403, "missing_scope")


def test_the_zone_is_asked_before_the_shape_of_the_path(
    world: World, elsewhere: Zone
) -> None:
    token = world.token()
    for zone_id in (elsewhere.id, "no%20zone", new_id()):
        path = f"/zones/{zone_id}/agents/%20"
        answer = world.coordinator.delete(path, token=token)
        assert refusal(answer) == (403, "zone_mismatch")
    assert refusal(world.delete("/agents/%20")) == (400, "invalid_params")


def test_the_shape_of_the_path_is_asked_before_the_body(world: World) -> None:
    answer = world.post("/agents/%20/suspend", content=BAD_BODY)
    assert refusal(answer)[0] == 405
    answer = world.patch("/delegations/%C3%A9/revoke", content=BAD_BODY)
    assert refusal(answer) == (400, "invalid_params")


REFUSALS: dict[str, dict[str, Any]] = {
    "bad json": {"method": "POST", "path": "/agents", "content": BAD_BODY},
    "bad body": {"method": "POST", "path": "/agents", "json": {}},
    "bad query": {"method": "GET", "path": "/agents?limit=0"},
    "bad cursor": {"method": "GET", "path": "/agents?cursor=x"},
    "bad path": {"method": "GET", "path": "/agents/%20"},
    "unknown path": {"method": "GET", "path": "/nowhere"},
    "wrong method": {"method": "PUT", "path": "/agents"},
    "bad key": {
        "method": "POST",
        "path": "/agents",
        "json": {"application_id": "x"},
        "headers": {"Idempotency-Key": "x" * 256},
    },
    "another's application": {
        "method": "POST",
        "path": "/agents",
        "json": {"application_id": "x"},
    },
    "bad constraint": {
        "method": "POST",
        "path": "/delegations",
        "json": {
            "source_session_id": "a",
            "target_session_id": "b",
            "issuer_application_id": "c",
            "receiver_application_id": "d",
            "constraints": {"nonsense": 1},
        },
    },
    "unknown agent": {"method": "GET", "path": "/agents/nobody"},
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("over", ["session", "application", "zone"])
def test_whether_the_caller_is_in_force_is_asked_before_what_it_wants(
    world: World, name: str, over: str
) -> None:
    request = dict(REFUSALS[name])
    method, path = request.pop("method"), request.pop("path")
    assert refusal(world.request(method, path, **request)) not in (REVOKED, (200, ""))
    if over == "session":
        Session.objects.filter(id=world.session().id).update(status="revoked")
    else:
        kind = Application if over == "application" else Zone
        id_ = world.application.id if over == "application" else world.zone.id
        kind.objects.filter(id=id_).update(archived_at=timezone.now())
    assert refusal(world.request(method, path, **request)) == REVOKED


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/agents"),
        ("GET", "/agents/x"),
        ("GET", "/agents/x/children"),
        ("GET", "/agents/x/effective-authority"),
        ("PATCH", "/agents/x/suspend"),
        ("PATCH", "/agents/x/resume"),
        ("DELETE", "/agents/x"),
        ("GET", "/delegations/active"),
        ("GET", "/delegations/inbound/x"),
        ("GET", "/delegations/outbound/x"),
        ("GET", "/delegations/x/traverse"),
        ("GET", "/delegations/x/impact"),
        ("PATCH", "/delegations/x/revoke"),
        ("GET", "/agent-services"),
        ("GET", "/invocations"),
    ],
)
def test_every_route_asks_whether_the_caller_is_in_force(
    world: World, method: str, path: str
) -> None:
    token = world.token()
    Session.objects.filter(id=world.session().id).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert refusal(world.request(method, path, token=token)) == REVOKED


def test_the_operator_is_told_of_an_unknown_zone(coordinator: Coordinator) -> None:
    token = configured.CARACAL_COORDINATOR_TOKEN
    for method, path in (
        ("GET", "/agents"),
        ("GET", "/agents?limit=0"),
        ("PATCH", "/agents/x/suspend"),
        ("PATCH", "/delegations/x/revoke"),
    ):
        answer = coordinator.request(method, f"/zones/{new_id()}{path}", token=token)
        assert refusal(answer) == (404, "zone_not_found")


def test_the_operator_does_what_is_on_its_list_and_no_more(world: World) -> None:
    token = configured.CARACAL_COORDINATOR_TOKEN
    assert world.get("/agents", token=token).status_code == 200
    assert refusal(world.post("/agents", {}, token=token)) == (401, "invalid_token")
    assert refusal(world.get("/nowhere", token=token)) == (401, "invalid_token")


# How routes are found.


def test_an_unknown_path_is_not_found_once_the_caller_is_known(world: World) -> None:
    for path in (
        "/nowhere",
        "/agents/",
        "/agents/x/suspend/",
        "//agents",
        "/agents/x/y/z",
    ):
        assert refusal(world.get(path)) == (404, "not_found")
    for path in ("/", "/zones", "/favicon.ico", "/health/", "/v1/zones"):
        answer = world.coordinator.get(path, token=world.token())
        assert refusal(answer) == (404, "not_found")


def test_a_wrong_method_is_told_the_right_ones(world: World) -> None:
    answer = world.request("PUT", "/agents")
    assert refusal(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert world.get("/delegations/x/revoke").headers["Allow"] == "PATCH"
    assert world.request("OPTIONS", "/agents").status_code == 405
    assert refusal(world.coordinator.put("/zones/z/agents")) == (401, "missing_token")


def test_head_is_get_without_its_body(world: World) -> None:
    world.spawn()
    got, asked = world.get("/agents"), world.request("HEAD", "/agents")
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["Content-Length"] == str(len(got.content))
    assert world.coordinator.head("/zones/z/agents").status_code == 401


def test_a_path_is_what_it_means_and_not_how_it_is_written(world: World) -> None:
    agent = world.spawn()["agent_session_id"]
    written = "".join(f"%{ord(char):02X}" for char in agent)
    assert world.get(f"/agents/{written}").json()["agent_session_id"] == agent
    hidden = f"/zones/{quote(world.zone.id)}/%61gents"
    assert refusal(world.coordinator.get(hidden)) == (401, "missing_token")
    assert world.coordinator.get(hidden, token=world.token()).status_code == 200


@pytest.mark.parametrize(
    "odd", ["%00", "%0A", "%FF", "%ED%A0%80", "a%2Fb", "%25", "x" * 129]
)
def test_no_path_is_an_accident(world: World, odd: str) -> None:
    for method, path in (
        ("GET", f"/agents/{odd}"),
        ("DELETE", f"/agents/{odd}"),
        ("PATCH", f"/delegations/{odd}/revoke"),
    ):
        answer = world.request(method, path)
        assert refusal(answer) in ((400, "invalid_params"), (404, "not_found"))


# What comes with an answer.


def test_a_good_request_id_is_echoed_and_a_bad_one_replaced(world: World) -> None:
    good = "Az09_.-:" + "x" * 120
    answer = world.get("/agents/x", headers={"X-Request-ID": good})
    assert answer.headers["X-Request-ID"] == answer.json()["requestId"] == good
    for bad in ("", "x" * 129, "a b", "<script>", b"\xe9"):
        given: Any = {"X-Request-ID": bad}
        minted = world.get("/agents", headers=given).headers["X-Request-ID"]
        assert minted != bad
        assert ID_PATTERN.match(minted)


def test_nothing_is_cached_sniffed_or_left_untyped(world: World) -> None:
    for answer in (world.get("/agents"), world.get("/nowhere"), world.try_spawn()):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


def test_a_problem_is_told_as_one_when_asked_for(world: World) -> None:
    answer = world.post(
        "/agents", {}, headers={"Accept": "application/problem+json, application/json"}
    )
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["requestId"] == answer.headers["X-Request-ID"]
    assert (problem["status"], problem["code"]) == (400, "invalid_body")
    assert problem["type"] == "/errors#invalid_body"
    assert problem["title"] == "Bad Request"
    assert problem["details"]["issues"]


# Refused attempts.


def audit_of(zone_id: str | None, **fields: Any) -> list[AdminAuditEvent]:
    return list(AdminAuditEvent.objects.filter(zone_id=zone_id, **fields))


def test_a_refused_change_of_a_known_caller_is_recorded_once(world: World) -> None:
    answer = world.delete(
        "/agents/nobody?reason=x", headers={"X-Request-ID": "refused-1"}
    )
    assert refusal(answer) == (404, "agent_not_found")
    (row,) = audit_of(world.zone.id, request_id="refused-1")
    assert row.action == f"DELETE /zones/{world.zone.id}/agents/nobody"
    assert (row.status_code, row.actor_id) == (404, world.application.id)
    assert row.actor_scope == "agent:lifecycle"
    assert row.payload_json == {"event": "request.refused", "error": "agent_not_found"}


def test_a_refused_body_is_recorded_as_well(world: World) -> None:
    answer = world.post("/agents", {}, headers={"X-Request-ID": "refused-2"})
    assert answer.status_code == 400
    assert len(audit_of(world.zone.id, request_id="refused-2")) == 1


def test_a_path_that_cannot_be_stored_is_recorded_all_the_same(world: World) -> None:
    world.delete("/agents/%00", headers={"X-Request-ID": "refused-nul"})
    (row,) = audit_of(world.zone.id, request_id="refused-nul")
    assert "\0" not in row.path


def test_an_attempt_on_another_zone_is_recorded_in_the_caller_s_own(
    world: World, elsewhere: Zone
) -> None:
    answer = world.coordinator.delete(
        f"/zones/{elsewhere.id}/agents/x",
        token=world.token(),
        headers={"X-Request-ID": "stray-1"},
    )
    assert refusal(answer) == (403, "zone_mismatch")
    (row,) = AdminAuditEvent.objects.filter(request_id="stray-1")
    assert row.zone_id == world.zone.id
    assert row.path == f"/zones/{elsewhere.id}/agents/x"


def test_refused_reads_and_unknown_callers_leave_no_row(world: World) -> None:
    before = AdminAuditEvent.objects.filter(zone_id=world.zone.id).count()
    world.get("/agents/nobody")
    world.get("/agents?limit=0")
    world.coordinator.post(world.path("/agents"))
    world.coordinator.post(world.path("/agents"), token="forged")
    world.post("/agents", token=world.token(scope="other"))
    assert AdminAuditEvent.objects.filter(zone_id=world.zone.id).count() == before
    assert not AgentSession.objects.in_zone(world.zone.id).exists()


def test_the_operator_s_refused_changes_are_recorded(world: World) -> None:
    token = configured.CARACAL_COORDINATOR_TOKEN
    world.delete("/agents/nobody", token=token, headers={"X-Request-ID": "operator-1"})
    (row,) = audit_of(world.zone.id, request_id="operator-1")
    assert row.actor_name == "caracal-operator"
