"""Spawning over the API: shapes, refusals, and who may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.models import AgentSession
from caracal_site.ids import new_id
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import ADMIN, World, refusal
from tokens.models import Session
from tokens.tests.factories import make_session
from zones.models import Application


def test_a_task_lives_an_hour_and_has_no_lease(world: World) -> None:
    agent = world.spawn()
    assert set(agent) == {
        "agent_session_id", "zone_id", "application_id", "parent_id",
        "subject_session_id", "lifecycle", "labels", "status", "depth", "ttl_seconds",
        "metadata", "spawned_at", "last_heartbeat_at", "heartbeat_deadline_at",
        "delegation_edge_id",
    }  # fmt: skip
    assert agent["lifecycle"] == "task"
    assert agent["status"] == "active"
    assert agent["ttl_seconds"] == 3600
    assert agent["subject_session_id"] == world.session().id
    assert (agent["parent_id"], agent["depth"], agent["delegation_edge_id"]) == (
        None,
        0,
        None,
    )
    assert agent["last_heartbeat_at"] is agent["heartbeat_deadline_at"] is None
    row = world.agent(agent)
    assert row.expires_at == row.spawned_at + timedelta(hours=1)
    assert not row.narrowed


def test_a_service_has_a_lease_and_no_end(world: World) -> None:
    agent = world.spawn(lifecycle="service")
    assert agent["ttl_seconds"] is None
    row = world.agent(agent)
    assert row.expires_at is None
    assert row.heartbeat_deadline_at == row.spawned_at + timedelta(seconds=120)
    detail = world.get(f"/agents/{row.id}").json()
    for member in ("last_heartbeat_at", "heartbeat_deadline_at", "spawned_at"):
        assert agent[member] == detail[member]


def test_what_is_asked_for_is_what_is_made(world: World) -> None:
    agent = world.spawn(
        labels=[" blue ", "x" * 64],
        ttl_seconds=60,
        metadata={"a": {"b": [1, None, "é"]}},
    )
    assert agent["labels"] == ["blue", "x" * 64]
    assert agent["metadata"] == {"a": {"b": [1, None, "é"]}}
    assert agent["ttl_seconds"] == 60
    detail = world.get(f"/agents/{agent['agent_session_id']}").json()
    assert detail == {
        name: value for name, value in agent.items() if name != "delegation_edge_id"
    } | {"terminated_at": None, "termination_reason": None}


def test_a_child_knows_its_ancestors_and_its_parent_counts_it(world: World) -> None:
    root = world.spawn()
    child = world.spawn(root)
    grandchild = world.spawn(child)
    row = world.agent(grandchild)
    assert row.ancestor_ids == [root["agent_session_id"], child["agent_session_id"]]
    assert grandchild["depth"] == row.depth == 2
    assert world.agent(root).child_count == 1
    assert world.terminate(child).status_code == 204
    assert world.agent(root).child_count == 0


def test_members_old_clients_send_besides_are_not_looked_at(world: World) -> None:
    assert world.spawn(kind="whatever", session_sid=["x"])


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"application_id": ""}, ["application_id"]),
        ({"application_id": 7}, ["application_id"]),
        ({"parent_id": ""}, ["parent_id"]),
        ({"subject_session_id": None}, ["subject_session_id"]),
        ({"lifecycle": "daemon"}, ["lifecycle"]),
        ({"labels": ["  "]}, ["labels", "0"]),
        ({"labels": ["ok", "x" * 65]}, ["labels", "1"]),
        ({"labels": ["x"] * 33}, ["labels"]),
        ({"ttl_seconds": 0}, ["ttl_seconds"]),
        ({"ttl_seconds": 86_401}, ["ttl_seconds"]),
        ({"ttl_seconds": "60"}, ["ttl_seconds"]),
        ({"ttl_seconds": True}, ["ttl_seconds"]),
        ({"metadata": []}, ["metadata"]),
        ({"metadata": None}, ["metadata"]),
        ({"surprise": 1}, ["surprise"]),
    ],
    ids=str,
)
def test_a_wrong_member_is_named(
    world: World, members: dict[str, Any], path: list[str]
) -> None:
    answer = world.try_spawn(**members)
    assert refusal(answer) == (400, "invalid_body")
    assert [issue["path"] for issue in answer.json()["details"]["issues"]] == [path]


def test_the_caller_must_be_or_stand_for_the_application(world: World) -> None:
    other = world.make_application()
    assert refusal(world.try_spawn(application_id=other.id)) == (
        403,
        "application_ownership_required",
    )
    assert refusal(world.try_spawn(application_id=other.id, scopes=(ADMIN,))) == (
        403,
        "application_ownership_required",
    )
    agent = world.spawn(
        application_id=other.id, scopes=(f"coordinator.spawn_for:{other.id}",)
    )
    assert agent["application_id"] == other.id
    assert agent["subject_session_id"] == world.session().id


def test_an_application_that_is_gone_runs_nothing(world: World) -> None:
    other = world.make_application()
    scopes = (f"coordinator.spawn_for:{other.id}",)
    for change in (
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"archived_at": timezone.now()},
    ):
        Application.objects.filter(id=other.id).update(**change)
        assert refusal(world.try_spawn(application_id=other.id, scopes=scopes)) == (
            404,
            "application_not_found",
        )
    missing = new_id()
    assert refusal(
        world.try_spawn(
            application_id=missing, scopes=(f"coordinator.spawn_for:{missing}",)
        )
    ) == (404, "application_not_found")


def test_without_a_session_one_must_be_named(world: World) -> None:
    token = world.token(sid=None)
    assert refusal(world.try_spawn(token=token)) == (400, "subject_session_id_required")
    agent = world.spawn(token=token, subject_session_id=world.session().id)
    assert agent["subject_session_id"] == world.session().id


def test_nobody_borrows_another_s_session(world: World) -> None:
    other = world.make_application()
    for session_id in (world.session(other).id, new_id()):
        answer = world.try_spawn(subject_session_id=session_id)
        assert refusal(answer) == (404, "session_not_found")
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    "over",
    [{"status": "revoked"}, {"expires_at": timezone.now() - timedelta(seconds=1)}],
)
def test_a_session_that_is_over_carries_no_agent(
    world: World, over: dict[str, Any]
) -> None:
    session = make_session(world.application, **over)
    assert refusal(world.try_spawn(subject_session_id=session.id)) == (
        404,
        "session_not_found",
    )


def test_a_session_of_another_zone_carries_no_agent(world: World, zone: Any) -> None:
    session = world.session()
    Session.objects.filter(id=session.id).update(zone_id=zone.id)
    stray = AgentSession.objects.in_zone(zone.id).count()
    other = new_id()
    assert refusal(world.try_spawn(subject_session_id=other)) == (
        404,
        "session_not_found",
    )
    assert AgentSession.objects.in_zone(zone.id).count() == stray


def test_self_registered_applications_run_one_task_without_family(world: World) -> None:
    dynamic = world.make_application(
        registration_method="dcr", expires_at=timezone.now() + timedelta(hours=1)
    )
    assert refusal(world.try_spawn(by=dynamic, lifecycle="service")) == (
        409,
        "dcr_application_cannot_host_service",
    )
    root = world.spawn()
    assert refusal(world.try_spawn(root, by=dynamic)) == (
        409,
        "dcr_application_cannot_be_child",
    )
    agent = world.spawn(by=dynamic)
    assert refusal(world.try_spawn(by=dynamic)) == (
        409,
        "dcr_application_already_bound",
    )
    under = world.try_spawn(agent, scopes=(f"coordinator.spawn_under:{dynamic.id}",))
    assert refusal(under) == (409, "dcr_application_cannot_spawn")
    assert world.terminate(agent, by=dynamic).status_code == 204
    assert world.spawn(by=dynamic)


def test_a_parent_must_be_active_and_in_time(world: World) -> None:
    parent = world.spawn(ttl_seconds=60)
    assert refusal(world.try_spawn(parent_id=new_id())) == (404, "parent_not_found")
    world.suspend(parent)
    assert refusal(world.try_spawn(parent)) == (404, "parent_not_found")
    world.resume(parent)
    AgentSession.objects.filter(id=parent["agent_session_id"]).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert refusal(world.try_spawn(parent)) == (404, "parent_not_found")


def test_a_service_without_a_heartbeat_is_no_parent(world: World) -> None:
    service = world.spawn(lifecycle="service")
    assert world.spawn(service, lifecycle="service")
    AgentSession.objects.filter(id=service["agent_session_id"]).update(
        heartbeat_deadline_at=timezone.now() - timedelta(seconds=1)
    )
    assert refusal(world.try_spawn(service)) == (404, "parent_not_found")


def test_a_task_is_no_parent_of_a_service(world: World) -> None:
    assert refusal(world.try_spawn(world.spawn(), lifecycle="service")) == (
        409,
        "task_agent_cannot_spawn_service",
    )


def test_another_application_s_agent_is_a_parent_by_its_scope_only(
    world: World,
) -> None:
    other = world.make_application()
    parent = world.spawn(by=other)
    assert refusal(world.try_spawn(parent)) == (403, "parent_ownership_required")
    assert refusal(world.try_spawn(parent, scopes=(ADMIN,))) == (
        403,
        "parent_ownership_required",
    )
    child = world.spawn(parent, scopes=(f"coordinator.spawn_under:{other.id}",))
    assert child["parent_id"] == parent["agent_session_id"]


def test_a_tree_grows_no_deeper_and_no_wider_than_set(
    world: World, settings: Any
) -> None:
    settings.MAX_DEPTH, settings.MAX_CHILDREN = 2, 1
    root = world.spawn()
    child = world.spawn(root)
    wide = world.try_spawn(root)
    assert refusal(wide) == (429, "agent_children_limit_exceeded")
    assert int(wide.headers["Retry-After"]) > 0
    leaf = world.spawn(child)
    assert refusal(world.try_spawn(leaf)) == (429, "agent_depth_limit_exceeded")


def test_a_spawn_is_told_once_with_its_parent(world: World, events: Events) -> None:
    root = world.spawn()
    child = world.spawn(root)
    left = events.take()
    assert left.keys == [f"spawn:{a['agent_session_id']}" for a in (root, child)]
    assert left.payloads("caracal.agents.lifecycle") == [
        {
            "event": "spawn",
            "zone_id": world.zone.id,
            "agent_session_id": agent["agent_session_id"],
            "parent_id": agent["parent_id"],
            "application_id": world.application.id,
        }
        for agent in (root, child)
    ]


def test_a_bound_token_spawns_below_its_agent_only(world: World) -> None:
    root, beside = world.spawn(), world.spawn()
    bound = world.token(agent_session_id=root["agent_session_id"])
    child = world.spawn(root, token=bound)
    assert world.spawn(child, token=bound)
    for refused in (world.try_spawn(token=bound), world.try_spawn(beside, token=bound)):
        assert refusal(refused) == (403, "outside_agent_subtree")


def test_a_token_bound_to_an_ended_or_resting_agent_opens_nothing(world: World) -> None:
    root = world.spawn()
    bound = world.token(agent_session_id=root["agent_session_id"])
    world.suspend(root)
    assert refusal(world.try_spawn(root, token=bound)) == (401, "identity_revoked")
    world.terminate(root)
    assert refusal(world.get("/agents", token=bound)) == (401, "identity_revoked")
