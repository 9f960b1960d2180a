"""What the published clients send and rely on, row by row (clients.md 1 and 2)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from django.conf import settings
from django.utils import timezone

from agents.models import AgentSession
from caracal_site.testing.client import Coordinator
from caracal_site.testing.world import READ, World, made, refusal
from tokens import bearer
from tokens.models import Session
from tokens.tests.factories import LIFECYCLE, form_of, make_granted

PYTHON = {
    "accept": "*/*",
    "accept-encoding": "gzip, deflate",
    "connection": "keep-alive",
    "user-agent": "python-httpx/0.28.1",
}
NODE = {
    "accept": "*/*",
    "accept-language": "*",
    "sec-fetch-mode": "cors",
    "user-agent": "node",
    "content-type": "application/json",
}
UNESCAPED = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")


def issued(world: World, **changes: Any) -> httpx.Response:
    """The token request of the clients; their library writes the form."""
    resource = make_granted(world.zone, world.application)
    body = form_of(world.application, resource, **changes)
    kind = {"content-type": "application/x-www-form-urlencoded", **PYTHON}
    return world.coordinator.post("/oauth/2/token", content=body, headers=kind)


def token_of(world: World) -> str:
    response = issued(world)
    assert response.status_code == 200, response.text
    token: str = response.json()["access_token"]
    return token


# What a server must get right for all of them.


def test_no_request_is_redirected(world: World) -> None:
    agent = world.spawn()["agent_session_id"]
    for path in ("/agents/", f"/agents/{agent}/", "//agents"):
        assert world.get(path).status_code == 404, path
    assert world.coordinator.get("").status_code in (401, 404)


@pytest.mark.parametrize("headers", [{"content-length": "0"}, {}, NODE, PYTHON])
def test_what_needs_no_body_may_have_none(
    world: World, headers: dict[str, str]
) -> None:
    agent, other = world.spawn(), world.spawn()
    edge = world.delegate(other, agent)
    service = world.register()
    waiting, running = world.invoke(service), world.invoke(service)
    for call in (
        lambda: world.suspend(agent, headers=headers),
        lambda: world.resume(agent, headers=headers),
        lambda: world.revoke(edge, headers=headers),
        lambda: world.move("start", running, headers=headers),
        lambda: world.move("cancel", waiting, headers=headers),
        lambda: world.delete(f"/agent-services/{service['id']}", headers=headers),
        lambda: world.terminate(other, headers=headers),
    ):
        assert call().status_code in (200, 204)


def test_null_is_no_resource(world: World) -> None:
    """The TypeScript SDK sends ``resource_id: null`` when it is not set."""
    a, b = world.spawn(), world.spawn()
    named = {"resources": [world.resource.identifier]}
    response = world.try_delegate(a, b, resource_id=None, constraints=named)
    assert made(response)["resource_id"] is None


def test_every_post_is_answered_with_json_and_delete_with_nothing(
    world: World,
) -> None:
    a, b = world.spawn(), world.spawn()
    for response in (
        world.try_spawn(),
        world.try_delegate(a, b),
        world.heartbeat(a, headers=NODE),
    ):
        assert response.headers["content-type"].startswith("application/json")
        assert isinstance(response.json(), dict)
    assert (world.terminate(a).status_code, world.terminate(a).content) == (204, b"")


def test_errors_are_json_with_a_code(world: World) -> None:
    refused: list[Callable[[], httpx.Response]] = [
        lambda: world.get("/agents/nobody"),
        lambda: world.get("/nothing"),
        lambda: world.get("/agents", token="junk"),
        lambda: world.post("/agents", {"application_id": 7}),
        lambda: issued(world, client_secret="wrong"),
    ]
    for call in refused:
        body = call().json()
        assert isinstance(body["error"], str)
        assert isinstance(body["error_description"], str)
        assert isinstance(body["requestId"], str)


def test_a_token_s_answer_is_what_the_clients_parse(world: World) -> None:
    response = issued(world)
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert body["token_type"] == "Bearer"
    assert type(body["expires_in"]) is int
    assert body["expires_in"] > 0
    assert all(isinstance(name, str) for name in body["target_resources"])
    assert len(body["access_token"]) < 4_096
    _, payload, _ = body["access_token"].split(".")
    claims = msgspec.json.decode(bearer.decoded(payload))
    assert claims["exp"] - time.time() > 60
    assert claims["iss"] == settings.ISSUER_URL
    assert re.match(r"https://|http://(localhost|127\.|\[::1\])", claims["iss"])


def test_ids_fit_a_path_unescaped(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b)
    ids = [a["agent_session_id"], edge["delegation_edge_id"], a["subject_session_id"]]
    ids += [world.zone.id, world.application.id, world.resource.id]
    service = world.register()
    ids += [service["id"], world.invoke(service)["id"]]
    assert all(UNESCAPED.match(id_) for id_ in ids)


def test_too_many_requests_say_when_to_come_again(world: World, settings: Any) -> None:
    settings.COORDINATOR_RATE_LIMIT_PER_MIN = 1
    agent = world.spawn()
    response = world.suspend(agent)
    assert refusal(response) == (429, "rate_limited")
    assert 1 <= int(response.headers["retry-after"]) <= 60


# The Python SDK.


def spawn(world: World, token: str, **members: Any) -> httpx.Response:
    """As the SDK spawns: what is not set is not sent."""
    body = {"application_id": world.application.id, **members}
    return world.coordinator.post(
        f"/zones/{world.zone.id}/agents", body, token=token, headers=PYTHON
    )


def test_an_implicit_token_opens_the_coordinator(world: World) -> None:
    body = issued(world, scope=LIFECYCLE).json()
    agent = made(spawn(world, body["access_token"]))
    assert agent["delegation_edge_id"] is None
    assert agent["subject_session_id"]


def test_a_spawned_agent_and_its_child_end_when_they_are_left(world: World) -> None:
    token = token_of(world)
    given = {"ttl_seconds": 300, "metadata": {"a": 1}, "labels": ["x"]}
    root = made(spawn(world, token, **given))
    child = made(spawn(world, token, parent_id=root["agent_session_id"]))
    # The inner block is left first, but the outer one may fail first.
    for agent in (root, child, root):
        path = f"/zones/{world.zone.id}/agents/{agent['agent_session_id']}"
        response = world.coordinator.delete(path, token=token, headers=PYTHON)
        assert response.status_code == 204


def test_a_service_is_spawned_without_an_end(world: World) -> None:
    agent = made(spawn(world, token_of(world), lifecycle="service"))
    assert agent["ttl_seconds"] is None
    assert agent["heartbeat_deadline_at"]


@pytest.mark.parametrize("headers", [PYTHON, NODE])
@pytest.mark.parametrize("status", ["starting", "healthy", "degraded", "unhealthy"])
def test_a_service_beats_with_a_status_alone(
    world: World, headers: dict[str, str], status: str
) -> None:
    token = token_of(world)
    agent = made(spawn(world, token, lifecycle="service"))
    path = f"/zones/{world.zone.id}/agents/{agent['agent_session_id']}/heartbeat"
    body = {"status": status}
    response = world.coordinator.post(path, body, token=token, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    told = response.json()
    assert told["agent"]["id"] == agent["agent_session_id"]
    assert told["agent"]["heartbeat_deadline_at"] >= agent["heartbeat_deadline_at"]
    assert told["service"] is None


def test_a_timer_that_only_logs_failures_brings_its_service_back(world: World) -> None:
    """The SDK's timer goes on after any refusal, and sends the same again."""
    token = token_of(world)
    agent = made(spawn(world, token, lifecycle="service"))
    past = timezone.now() - timedelta(seconds=1)
    AgentSession.objects.filter(id=agent["agent_session_id"]).update(
        heartbeat_deadline_at=past
    )
    path = f"/zones/{world.zone.id}/agents/{agent['agent_session_id']}/heartbeat"
    beats = [
        world.coordinator.post(path, {"status": "healthy"}, token=token, headers=PYTHON)
        for _ in range(3)
    ]
    assert [beat.status_code for beat in beats] == [409, 200, 200]
    assert beats[-1].json()["agent"]["status"] == "active"
    response = world.coordinator.delete(path.removesuffix("/heartbeat"), token=token)
    assert response.status_code == 204


def test_the_operator_lists_services_and_calls(world: World) -> None:
    """What the admin client and its console ask, with the operator token."""
    call = world.invoke(world.register())
    for path, id_ in (
        ("/agent-services", call["service_id"]),
        ("/invocations", call["id"]),
    ):
        answer = world.get(path, token=settings.CARACAL_COORDINATOR_TOKEN).json()
        assert [item["id"] for item in answer["items"]] == [id_]
        assert answer["next_cursor"] is None


def test_the_low_level_spawn_is_repeated_by_its_key(world: World) -> None:
    token, path = token_of(world), f"/zones/{world.zone.id}/agents"
    body = {"application_id": world.application.id}
    first, again = (
        world.coordinator.post(
            path, body, token=token, headers={"idempotency-key": "k", **PYTHON}
        )
        for _ in range(2)
    )
    assert first.json()["agent_session_id"] == again.json()["agent_session_id"]


def test_a_child_inherits_the_edge_of_its_parent(world: World) -> None:
    token = token_of(world)
    root, narrowed = (made(spawn(world, token)) for _ in range(2))
    edge = world.delegate(root, narrowed, constraints={"max_hops": 3})
    child = made(
        spawn(
            world,
            token,
            parent_id=narrowed["agent_session_id"],
            inherit_parent_edge_id=edge["delegation_edge_id"],
        )
    )
    mirrored = world.edge(child["delegation_edge_id"])
    assert mirrored.parent_edge_id == edge["delegation_edge_id"]


def test_narrow_spawns_and_delegates_with_the_parent_s_token(world: World) -> None:
    token = token_of(world)
    parent = made(spawn(world, token))
    child = made(spawn(world, token, parent_id=parent["agent_session_id"]))
    body = {
        "issuer_application_id": world.application.id,
        "source_session_id": parent["agent_session_id"],
        "target_session_id": child["agent_session_id"],
        "receiver_application_id": world.application.id,
        "scopes": [READ],
        "resource_id": world.resource.id,
        "constraints": {"max_hops": 2},
        "ttl_seconds": 600,
    }
    path = f"/zones/{world.zone.id}/delegations"
    edge = made(world.coordinator.post(path, body, token=token, headers=PYTHON))
    below = made(spawn(world, token, parent_id=child["agent_session_id"]))
    onward = body | {
        "source_session_id": child["agent_session_id"],
        "target_session_id": below["agent_session_id"],
        "parent_edge_id": edge["delegation_edge_id"],
        "constraints": {"max_hops": 1},
    }
    response = world.coordinator.post(path, onward, token=token, headers=PYTHON)
    assert made(response)["delegation_edge_id"]
    # A refused narrow ends the fresh child.
    response = world.coordinator.post(path, body | {"scopes": ["no"]}, token=token)
    assert refusal(response) == (403, "delegation_scopes_exceed_resource")


def test_without_an_end_there_is_no_delegation(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    response = world.try_delegate(a, b, ttl_seconds=None)
    assert refusal(response) == (400, "delegation_expiry_required")


def test_a_401_says_that_another_token_helps(world: World) -> None:
    """The SDK drops the token and spawns once more with a fresh one."""
    token = token_of(world)
    Session.objects.in_zone(world.zone.id).update(status="expired")
    assert refusal(spawn(world, token)) == (401, "identity_revoked")
    assert spawn(world, token_of(world)).status_code == 201


def test_agents_outlive_the_token_they_were_spawned_with(world: World) -> None:
    """The SDK fetches the next token, with a session of its own, and goes on."""
    from agents.services import end_stranded_agents

    agent = made(spawn(world, token_of(world), lifecycle="service"))
    Session.objects.in_zone(world.zone.id).update(status="expired")
    end_stranded_agents()
    path = f"/zones/{world.zone.id}/agents/{agent['agent_session_id']}"
    token = token_of(world)
    found = world.coordinator.get(path, token=token)
    assert found.json()["status"] == "active"
    made(spawn(world, token, parent_id=agent["agent_session_id"]))


def test_the_keys_are_where_the_issuer_says(
    world: World, coordinator: Coordinator
) -> None:
    path = f"/.well-known/jwks.json?zone_id={world.zone.id}"
    response = coordinator.get(path, headers=PYTHON)
    assert response.status_code == 200
    assert {key["alg"] for key in response.json()["keys"]} == {"ES256"}
