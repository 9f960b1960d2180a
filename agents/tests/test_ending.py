"""The end of agents: asked for, overdue, or with what they belong to (D13)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from agents.models import AgentSession
from agents.services import end_agents_of, expire_due_agents
from caracal_site import actors, context
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import ADMIN, World, refusal
from delegations.models import DelegationEdge
from zones import services

LIFECYCLE = "caracal.agents.lifecycle"
REVOKE = "caracal.sessions.revoke"


def overdue(*agents: dict[str, object]) -> None:
    ids = [agent["agent_session_id"] for agent in agents]
    AgentSession.objects.filter(id__in=ids).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )


def test_ending_an_agent_ends_its_subtree(world: World, events: Events) -> None:
    root = world.spawn()
    child = world.spawn(root)
    leaf = world.spawn(child)
    world.suspend(leaf)
    events.take()
    answer = world.terminate(child, headers={"X-Request-ID": "end-1"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    ended = [world.agent(agent) for agent in (child, leaf)]
    assert [row.status for row in ended] == ["terminated"] * 2
    assert [row.termination_reason for row in ended] == [
        "requested",
        "parent_terminated",
    ]
    assert world.agent(root).status == "active"
    assert world.agent(root).child_count == 0
    left = events.take()
    assert left.keys == [
        f"terminate:{ended[0].id}",
        f"agent_terminate:{ended[0].id}",
        f"terminate:{ended[1].id}",
        f"agent_terminate:{ended[1].id}",
    ]
    assert left.payloads(REVOKE) == [
        {"zone_id": world.zone.id, "agent_session_id": row.id, "reason": "requested"}
        for row in ended
    ]
    (audit,) = left.audit
    assert (audit.entity_type, audit.entity_id) == ("agents", ended[0].id)
    assert (audit.request_id, audit.status_code) == ("end-1", 204)
    assert audit.payload_json == {
        "event": "agent.terminated",
        "reason": "requested",
        "agents": 2,
        "edges": 0,
        "invocations": 0,
    }


def test_the_reason_given_is_stored_and_told(world: World, events: Events) -> None:
    agent = world.spawn()
    events.take()
    world.delete(f"/agents/{agent['agent_session_id']}?reason=all%20done%20%C3%A9")
    assert world.agent(agent).termination_reason == "all done é"
    left = events.take()
    assert left.payloads(LIFECYCLE)[0]["reason"] == "all done é"
    assert left.audit[0].payload_json["reason"] == "all done é"


@pytest.mark.parametrize(
    "query",
    ["reason=", "reason=" + "x" * 257, "reason=a%0Ab", "reason=a&reason=b", "x=1"],
)
def test_a_reason_that_is_none_is_refused(world: World, query: str) -> None:
    agent = world.spawn()
    answer = world.delete(f"/agents/{agent['agent_session_id']}?{query}")
    assert refusal(answer) == (400, "invalid_query")
    assert world.agent(agent).status == "active"


def test_ending_what_has_ended_changes_nothing(world: World, events: Events) -> None:
    agent = world.spawn()
    world.terminate(agent)
    before = world.agent(agent)
    events.take()
    assert world.terminate(agent).status_code == 204
    after = world.agent(agent)
    assert (after.terminated_at, after.transition) == (
        before.terminated_at,
        before.transition,
    )
    assert events.take().outbox == []
    assert refusal(world.delete("/agents/unknown")) == (404, "agent_not_found")


def test_an_ended_agent_leaves_no_live_edge(world: World) -> None:
    a, b, c, d = (world.spawn() for _ in range(4))
    into = world.delegate(a, b, constraints={"max_hops": 4})
    onward = world.delegate(b, c, constraints={"max_hops": 3})
    far = world.delegate(c, d)
    child = world.spawn(b)
    before = world.epoch()
    assert world.terminate(b).status_code == 204
    assert world.epoch() == before + 1
    for edge in (into, onward, far, child):
        assert world.edge(edge).status == "revoked"
    assert not DelegationEdge.objects.in_zone(world.zone.id).active().exists()
    statuses = [world.agent(agent).status for agent in (a, b, c, d, child)]
    assert statuses == ["active", *["terminated"] * 4]


def test_ending_without_edges_leaves_the_epoch(world: World) -> None:
    agent = world.spawn()
    before = world.epoch()
    world.terminate(agent)
    assert world.epoch() == before


def test_open_invocations_end_with_either_side(world: World, events: Events) -> None:
    a, b = world.spawn(), world.spawn()
    service = world.register()
    of_a = {"source_session_id": a["agent_session_id"]}
    to_a = {"target_session_id": a["agent_session_id"]}
    of_b = {"source_session_id": b["agent_session_id"]}
    calls = [world.invoke(service, **ends) for ends in (of_a, to_a, of_a, of_a, of_b)]
    for each in calls[1:4]:
        world.move("start", each)
    world.move("cancel", calls[2])
    world.move("complete", calls[3], {"status": "succeeded"})
    events.take()
    world.terminate(a)
    rows = [world.invocation(each) for each in calls]
    assert [row.status for row in rows] == [
        "canceled", "canceled", "canceled", "succeeded", "pending",
    ]  # fmt: skip
    assert rows[0].completed_at is not None
    assert rows[0].error_json == {"reason": "session_ended"}
    left = events.take()
    told = left.payloads("caracal.invocations.lifecycle")
    assert [news["invocation_id"] for news in told] == [row.id for row in rows[:3]]
    assert {news["event"] for news in told} == {"invocation.canceled"}
    assert {news["service_id"] for news in told} == {service["id"]}
    assert left.audit[0].payload_json["invocations"] == 3


def test_only_who_may_manage_an_agent_ends_it(world: World) -> None:
    other = world.make_application()
    agents = [world.spawn() for _ in range(3)]
    refused = world.terminate(agents[0], by=other)
    assert refusal(refused) == (403, "application_ownership_required")
    leave = f"coordinator.spawn_for:{world.application.id}"
    assert world.terminate(agents[0], by=other, scopes=(leave,)).status_code == 204
    assert world.terminate(agents[1], by=other, scopes=(ADMIN,)).status_code == 204
    operator = settings.CARACAL_COORDINATOR_TOKEN
    assert world.terminate(agents[2], token=operator).status_code == 204


def test_a_bound_token_ends_itself_and_what_is_below_only(world: World) -> None:
    root = world.spawn()
    middle = world.spawn(root)
    leaf, beside = world.spawn(middle), world.spawn(root)
    bound = world.token(agent_session_id=middle["agent_session_id"])
    for agent in (root, beside):
        assert refusal(world.terminate(agent, token=bound)) == (
            403,
            "outside_agent_subtree",
        )
    assert world.terminate(leaf, token=bound).status_code == 204
    assert world.terminate(middle, token=bound).status_code == 204
    assert refusal(world.terminate(middle, token=bound)) == (401, "identity_revoked")


def test_a_child_of_another_application_falls_with_its_parent(world: World) -> None:
    other = world.make_application()
    root = world.spawn()
    child = world.spawn(
        root, by=other, scopes=(f"coordinator.spawn_under:{world.application.id}",)
    )
    assert world.room_taken(other.id) == 1
    assert world.terminate(root).status_code == 204
    assert world.agent(child).status == "terminated"
    assert world.room_taken(other.id) == world.room_taken() == 0


def test_agents_past_their_time_expire_with_what_is_below(
    world: World, events: Events
) -> None:
    root, lone, service = world.spawn(), world.spawn(), world.spawn(lifecycle="service")
    child = world.spawn(root)
    resting = world.spawn()
    world.suspend(resting)
    overdue(root, resting)
    events.take()
    with context.job("expire-agents"):
        expire_due_agents()
    agents = (root, child, resting, lone, service)
    assert [world.agent(agent).status for agent in agents] == [
        "expired", "terminated", "expired", "active", "active",
    ]  # fmt: skip
    assert world.agent(root).termination_reason == "ttl"
    assert world.agent(child).termination_reason == "parent_terminated"
    left = events.take()
    assert {p["reason"] for p in left.payloads(LIFECYCLE)} == {"ttl"}
    assert {p["event"] for p in left.payloads(LIFECYCLE)} == {"terminate"}
    (audit,) = left.audit
    assert (audit.method, audit.actor_name) == ("JOB", "expire-agents")
    assert world.room_taken() == 2


def test_whatever_ends_an_ordinary_agent_it_is_announced_without_its_session(
    world: World, events: Events
) -> None:
    """W10: nothing was announced of agents on an application's session, which all of
    the SDKs' are, whether they were ended, expired or lost their edge."""
    root, asked, late, narrowed = (world.spawn() for _ in range(4))
    edge = world.delegate(root, narrowed)
    overdue(late)
    events.take()
    world.terminate(asked)
    expire_due_agents()
    world.revoke(edge)
    told = events.take().payloads(REVOKE)
    assert {payload["agent_session_id"]: payload["reason"] for payload in told} == {
        asked["agent_session_id"]: "requested",
        late["agent_session_id"]: "ttl",
        narrowed["agent_session_id"]: "delegation_revoked",
    }
    assert not any("session_id" in payload for payload in told)


def test_a_service_with_a_time_expires_as_well(world: World) -> None:
    service = world.spawn(lifecycle="service", ttl_seconds=60)
    overdue(service)
    expire_due_agents()
    assert world.agent(service).status == "expired"


def test_a_backlog_is_expired_in_batches_until_none_is_left(world: World) -> None:
    agents = [world.spawn() for _ in range(7)]
    overdue(*agents)
    assert expire_due_agents(limit=2).handled >= 7
    assert {world.agent(agent).status for agent in agents} == {"expired"}


def test_archiving_ends_an_application_s_agents_and_lets_no_more_in(
    world: World,
) -> None:
    other = world.make_application()
    mine, theirs = world.spawn(), world.spawn(by=other)
    below = world.spawn(
        mine, by=other, scopes=(f"coordinator.spawn_under:{world.application.id}",)
    )
    ended = end_agents_of(
        actors.system("tests"),
        zone_id=world.zone.id,
        application_ids=[other.id],
        reason="application_archived",
    )
    assert len(ended.agents) == 2
    assert [world.agent(agent).status for agent in (mine, theirs, below)] == [
        "active", "terminated", "terminated",
    ]  # fmt: skip
    assert world.agent(theirs).termination_reason == "application_archived"
    assert refusal(world.try_spawn(by=other))[0] == 429
    assert world.spawn()


def test_agents_end_with_the_application_whose_session_carries_them(
    world: World,
) -> None:
    other = world.make_application()
    leave = (f"coordinator.spawn_for:{other.id}",)
    carried = world.spawn(application_id=other.id, scopes=leave)
    own = world.spawn(by=other)
    services.archive_application(
        world.application.id,
        zone_id=world.zone.id,
        actor=actors.system("tests"),
        reason="no longer needed",
    )
    assert world.agent(carried).status == "terminated"
    assert world.agent(own).status == "active"
    world.assert_sound()
