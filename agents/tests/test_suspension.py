"""Suspend and resume: reversible, and never a revocation (D13)."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from agents.models import AgentSession
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import ADMIN, World, refusal

LIFECYCLE = "caracal.agents.lifecycle"
NOT_ACTIVE = (409, "agent_not_found_or_not_active")
NOT_SUSPENDED = (409, "agent_not_found_or_not_suspended")


def statuses(world: World, *agents: dict[str, object]) -> list[str]:
    return [world.agent(agent).status for agent in agents]


def test_a_subtree_rests_and_goes_on_together(world: World, events: Events) -> None:
    root = world.spawn()
    child = world.spawn(root)
    leaf = world.spawn(child)
    events.take()
    assert world.suspend(child).json() == {"suspended": 2}
    assert statuses(world, root, child, leaf) == ["active", "suspended", "suspended"]
    left = events.take()
    assert left.payloads(LIFECYCLE) == [
        {
            "event": "suspend",
            "zone_id": world.zone.id,
            "agent_session_id": agent["agent_session_id"],
            "parent_id": agent["parent_id"],
            "reason": "requested",
        }
        for agent in (child, leaf)
    ]
    assert {row.topic for row in left.outbox} == {LIFECYCLE}
    assert left.audit[0].entity_id == child["agent_session_id"]
    assert world.resume(child).json() == {"resumed": 2}
    assert statuses(world, root, child, leaf) == ["active"] * 3
    resumed = events.take().payloads(LIFECYCLE)
    assert [p["event"] for p in resumed] == ["resume"] * 2
    assert "reason" not in resumed[0]


def test_every_turn_is_told_under_a_key_of_its_own(
    world: World, events: Events
) -> None:
    agent = world.spawn()
    events.take()
    for turn in (
        world.suspend,
        world.resume,
        world.suspend,
        world.resume,
        world.suspend,
    ):
        assert turn(agent).status_code == 200
    keys = events.take().keys
    assert len(keys) == len(set(keys)) == 5
    assert [str(key).split(":")[0] for key in keys] == ["suspend", "resume"] * 2 + [
        "suspend"
    ]
    assert world.agent(agent).transition == 5


def test_resting_keeps_edges_epoch_and_session(world: World, events: Events) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b)
    before = world.epoch()
    world.suspend(b)
    assert world.edge(edge).status == "active"
    assert world.epoch() == before
    assert "caracal.sessions.revoke" not in {row.topic for row in events.take().outbox}


def test_what_rests_already_stops_the_walk(world: World) -> None:
    root = world.spawn()
    child = world.spawn(root)
    leaf = world.spawn(child)
    world.suspend(child)
    before = world.agent(leaf).transition
    assert world.suspend(root).json() == {"suspended": 1}
    assert world.agent(leaf).transition == before
    assert refusal(world.suspend(child)) == NOT_ACTIVE


def test_nothing_resumes_below_what_rests_or_has_ended(world: World) -> None:
    root = world.spawn()
    child = world.spawn(root)
    leaf = world.spawn(child)
    world.suspend(root)
    for agent in (child, leaf):
        assert refusal(world.resume(agent)) == (409, "agent_ancestor_not_active")
    assert world.resume(root).json() == {"resumed": 3}
    world.suspend(leaf)
    world.terminate(child)
    assert refusal(world.resume(leaf)) == NOT_SUSPENDED


def test_only_a_suspended_agent_resumes_and_only_an_active_one_suspends(
    world: World,
) -> None:
    agent = world.spawn()
    assert refusal(world.resume(agent)) == NOT_SUSPENDED
    world.terminate(agent)
    assert refusal(world.resume(agent)) == NOT_SUSPENDED
    assert refusal(world.suspend(agent)) == NOT_ACTIVE
    for verb in ("suspend", "resume"):
        assert refusal(world.patch(f"/agents/unknown/{verb}")) == (
            404,
            "agent_not_found",
        )


def test_a_resumed_service_starts_a_fresh_lease(world: World) -> None:
    service, task = world.spawn(lifecycle="service"), world.spawn()
    long_ago = timezone.now() - timedelta(hours=1)
    AgentSession.objects.filter(id=service["agent_session_id"]).update(
        heartbeat_deadline_at=long_ago
    )
    for agent in (service, task):
        world.suspend(agent)
        world.resume(agent)
    deadline = world.agent(service).heartbeat_deadline_at
    assert deadline is not None
    assert deadline > timezone.now() + timedelta(seconds=100)
    assert world.agent(task).heartbeat_deadline_at is None


def test_only_who_may_manage_an_agent_suspends_it(world: World) -> None:
    other, agent = world.make_application(), world.spawn()
    for turn in (world.suspend, world.resume):
        assert refusal(turn(agent, by=other)) == (403, "application_ownership_required")
    assert world.suspend(agent, by=other, scopes=(ADMIN,)).status_code == 200
    leave = f"coordinator.spawn_for:{world.application.id}"
    assert world.resume(agent, by=other, scopes=(leave,)).status_code == 200


def test_a_bound_token_rests_its_subtree_only(world: World) -> None:
    root = world.spawn()
    child = world.spawn(root)
    bound = world.token(agent_session_id=child["agent_session_id"])
    assert refusal(world.suspend(root, token=bound)) == (403, "outside_agent_subtree")
    assert world.suspend(child, token=bound).status_code == 200
    # Whoever rests cannot wake itself.
    assert refusal(world.resume(child, token=bound)) == (401, "identity_revoked")


def test_a_reason_of_the_suspension_is_forgotten_when_it_ends(world: World) -> None:
    agent = world.spawn()
    world.suspend(agent)
    assert world.agent(agent).suspend_reason == "requested"
    world.resume(agent)
    assert world.agent(agent).suspend_reason is None
