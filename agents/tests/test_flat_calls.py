"""The flat calls of agents: the same verbs, named in the body (coordinator.md 8)."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from audit.models import AdminAuditEvent
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import World, made, refusal
from zones.models import Zone

SPAWNED = {
    "agent_session_id", "zone_id", "application_id", "parent_id", "subject_session_id",
    "lifecycle", "labels", "status", "depth", "ttl_seconds", "metadata", "spawned_at",
    "last_heartbeat_at", "heartbeat_deadline_at", "delegation_edge_id",
}  # fmt: skip


def end_body(agent: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"agent_session_id": agent["agent_session_id"], **members}


def test_begin_spawns_what_is_asked_for(world: World) -> None:
    body = world.begin_body(
        lifecycle="service", labels=[" x "], ttl_seconds=50, metadata={"a": [1]}
    )
    agent = made(world.call("begin", body))
    assert set(agent) == SPAWNED
    row = world.agent(agent)
    assert (row.lifecycle, row.labels, row.ttl_seconds) == ("service", ["x"], 50)
    assert row.metadata_json == {"a": [1]}
    assert row.subject_session_id == world.session().id


def test_begin_takes_a_parent_and_spawn_child_needs_one(world: World) -> None:
    root = made(world.call("begin", world.begin_body()))
    parent = {"parent_id": root["agent_session_id"]}
    assert made(world.call("begin", world.begin_body(**parent)))["depth"] == 1
    child = made(world.call("spawn-child", world.begin_body(root)))
    assert child["parent_id"] == root["agent_session_id"]
    assert world.agent(root).child_count == 2
    response = world.call("spawn-child", world.begin_body())
    assert refusal(response) == (400, "invalid_body")
    assert response.json()["details"]["issues"] == [
        {"path": ["parent_agent_session_id"], "message": "required"}
    ]


def test_a_child_of_a_narrowed_parent_is_narrowed_without_asking(world: World) -> None:
    """W2: spawn-child cannot but be narrowed, whatever it sends."""
    root, narrowed = world.spawn(), world.spawn()
    edge = world.delegate(root, narrowed, constraints={"max_hops": 3})
    child = made(world.call("spawn-child", world.begin_body(narrowed)))
    mirrored = world.edge(child["delegation_edge_id"])
    assert mirrored.parent_edge_id == edge["delegation_edge_id"]
    assert world.agent(child).narrowed
    second = world.delegate(root, narrowed, constraints={"max_hops": 3})
    response = world.call("spawn-child", world.begin_body(narrowed))
    assert refusal(response) == (409, "parent_delegation_ambiguous")
    named = {"inherit_parent_edge_id": second["delegation_edge_id"]}
    made(world.call("spawn-child", world.begin_body(narrowed, **named)))


def test_end_ends_the_subtree_and_again_is_no_news(
    world: World, events: Events
) -> None:
    root = world.spawn()
    child = world.spawn(root)
    response = world.call("end", end_body(root, reason="over"))
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert world.agent(root).termination_reason == "over"
    assert world.agent(child).status == "terminated"
    events.take()
    assert world.call("end", end_body(root)).status_code == 204
    assert events.take().outbox == []


def test_a_flat_call_leaves_one_audit_row_in_the_zone(
    world: World, events: Events
) -> None:
    """W23: one row, in the chain of the zone, that names what was made."""
    events.take()
    agent = made(world.call("begin", world.begin_body()))
    (row,) = events.take().audit
    assert (row.path, row.entity_id) == ("/v1/begin", agent["agent_session_id"])
    assert not AdminAuditEvent.objects.filter(
        request_id=row.request_id, zone_id=None
    ).exists()


def test_a_refused_flat_call_is_recorded_too(world: World, events: Events) -> None:
    events.take()
    assert world.call("end", {"agent_session_id": "nobody"}).status_code == 404
    (row,) = events.take().audit
    assert (row.path, row.status_code) == ("/v1/end", 404)


@pytest.mark.parametrize("name", ["begin", "spawn-child"])
@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"application_id": ""}, ["application_id"]),
        ({"application_id": None}, ["application_id"]),
        ({"subject_session_id": 7}, ["subject_session_id"]),
        ({"lifecycle": "daemon"}, ["lifecycle"]),
        ({"labels": ["x", " "]}, ["labels", "1"]),
        ({"ttl_seconds": 86_401}, ["ttl_seconds"]),
        ({"ttl_seconds": "50"}, ["ttl_seconds"]),
        ({"metadata": []}, ["metadata"]),
        ({"colour": "red"}, ["colour"]),
        ({"zone_id": None}, ["zone_id"]),
        ({"zone_id": ""}, ["zone_id"]),
    ],
)
def test_a_wrong_member_is_named(
    world: World, name: str, members: dict[str, Any], path: list[str]
) -> None:
    body = {**world.begin_body(), "parent_agent_session_id": "p", **members}
    if name == "begin":
        body["parent_id"] = body.pop("parent_agent_session_id")
    response = world.call(name, body)
    assert refusal(response) == (400, "invalid_body")
    assert [i["path"] for i in response.json()["details"]["issues"]] == [path]


def test_without_a_session_nothing_begins(world: World) -> None:
    body = world.begin_body()
    del body["subject_session_id"]
    assert refusal(world.call("begin", body)) == (400, "invalid_body")


@pytest.mark.parametrize("zone_id", ["a b", "elsewhere", "x" * 500, "\u2713"])
def test_the_zone_of_the_body_must_be_the_caller_s_own(
    world: World, zone_id: str
) -> None:
    for name, body in (
        ("begin", world.begin_body()),
        ("spawn-child", {**world.begin_body(), "parent_agent_session_id": "p"}),
        ("end", {"agent_session_id": "a b"}),
    ):
        response = world.call(name, {**body, "zone_id": zone_id})
        assert refusal(response) == (403, "zone_mismatch"), name


def test_an_agent_of_another_zone_is_not_found(world: World, elsewhere: Zone) -> None:
    other = World(elsewhere, world.coordinator)
    agent = other.spawn()
    assert refusal(world.call("end", end_body(agent))) == (404, "agent_not_found")
    response = world.call("spawn-child", world.begin_body(agent))
    assert refusal(response) == (404, "parent_not_found")
    assert other.agent(agent).status == "active"


@pytest.mark.parametrize("agent_id", ["a b", "x" * 129, "../agents"])
def test_an_id_that_fits_no_path_is_refused_as_such(
    world: World, agent_id: str
) -> None:
    response = world.call("end", {"agent_session_id": agent_id})
    assert refusal(response) == (400, "invalid_params")


def test_only_the_application_itself_begins_and_ends(world: World) -> None:
    other, agent = world.make_application(), world.spawn()
    response = world.call("begin", world.begin_body(), by=other)
    assert refusal(response) == (403, "application_ownership_required")
    response = world.call("end", end_body(agent), by=other)
    assert refusal(response) == (403, "application_ownership_required")


def test_without_a_good_token_nothing_is_looked_at(world: World) -> None:
    path, body = "/v1/begin", {"zone_id": world.zone.id}
    assert refusal(world.coordinator.post(path, body)) == (401, "missing_token")
    for token in ("junk", "cop_test_operator_token_0123456789abcdef"):
        response = world.coordinator.post(path, body, token=token)
        assert refusal(response) == (401, "invalid_token")


def test_a_repeat_with_its_key_gets_the_first_answer(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    first = world.call("begin", world.begin_body(), headers=key)
    again = world.call("begin", world.begin_body(), headers=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content == first.content
    response = world.call("begin", world.begin_body(labels=["x"]), headers=key)
    assert refusal(response) == (409, "idempotency_key_conflict")
    agent = first.json()
    for replayed in (None, "true"):
        response = world.call("end", end_body(agent), headers=key)
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers.get("Idempotency-Replayed") == replayed
    response = world.call("end", end_body(agent, reason="other"), headers=key)
    assert refusal(response) == (409, "idempotency_key_conflict")


def test_twice_at_once_with_one_key_begins_once(world: World) -> None:
    body = world.begin_body()
    found = world.coordinator.at_once(
        *(
            world.start_call("begin", body, headers={"Idempotency-Key": "k"})
            for _ in range(4)
        )
    )
    assert {response.status_code for response in found} <= {201, 409}
    assert len({r.content for r in found if r.status_code == 201}) == 1
    world.assert_sound()
    assert world.room_taken() == 1


def test_twice_at_once_ends_once(world: World, events: Events) -> None:
    agent = world.spawn()
    events.take()
    ends = (world.start_call("end", end_body(agent)) for _ in range(4))
    assert world.at_once(*ends) == [204] * 4
    assert len(events.take().audit) == 1
    assert world.agent(agent).transition == 1


def test_one_caller_s_calls_have_one_bucket_and_cost_no_other(
    world: World, settings: Settings
) -> None:
    """W42: neither do callers share one, nor does a call count twice."""
    settings.V1_RATE_LIMIT_PER_MIN = 2
    settings.COORDINATOR_RATE_LIMIT_PER_MIN = 1
    other = world.make_application()
    nobody = {"agent_session_id": "nobody"}
    assert world.call("end", nobody).status_code == 404
    assert world.call("begin", {}).status_code == 400
    response = world.call("exchange", {})
    assert refusal(response) == (429, "rate_limited")
    assert int(response.headers["Retry-After"]) >= 1
    assert world.call("end", nobody, by=other).status_code == 404
    assert world.get("/agents").status_code == 200
