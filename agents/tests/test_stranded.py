"""What agents stand on ends without them: then they end, too (D13, W14)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents import tasks
from agents.models import AgentSession
from agents.services import end_stranded_agents
from audit.models import AdminAuditEvent
from caracal_site.testing.evidence import Events
from caracal_site.testing.races import Threads, held
from caracal_site.testing.refusing import refusing
from caracal_site.testing.world import World
from tokens.models import Session
from tokens.tests.factories import make_session
from zones.models import Application, Zone

LIFECYCLE = "caracal.agents.lifecycle"
REVOKED = {"status": "revoked", "revoked_at": timezone.now}
PAST = {"expires_at": lambda: timezone.now() - timedelta(seconds=1)}


@pytest.fixture(autouse=True)
def nothing_is_stranded_elsewhere(database: None) -> None:
    end_stranded_agents()


def change(session: Session, changes: dict[str, Any]) -> None:
    Session.objects.filter(id=session.id).update(
        **{name: v() if callable(v) else v for name, v in changes.items()}
    )


def on(world: World, session: Session) -> dict[str, Any]:
    return world.spawn(subject_session_id=session.id)


def test_a_revoked_session_ends_its_agents_with_all_that_hangs_on_them(
    world: World, events: Events
) -> None:
    session = make_session(world.application)
    lost = on(world, session)
    child = world.spawn(lost)
    stays = world.spawn()
    edge = world.delegate(lost, stays)
    events.take()
    epoch = world.epoch()
    change(session, REVOKED)
    outcome = end_stranded_agents()
    assert (outcome.handled, outcome.error) == (3, "")
    reasons = [world.agent(a).termination_reason for a in (lost, child, stays)]
    assert reasons[:2] == ["subject_session_revoked", "parent_terminated"]
    assert world.edge(edge).status == "revoked"
    assert world.epoch() == epoch + 1
    left = events.take()
    (row,) = left.audit
    assert row.actor_name == "end-stranded-agents"
    assert row.payload_json is not None
    assert row.payload_json["reason"] == "subject_session_revoked"
    told = left.payloads(LIFECYCLE)
    assert {p["reason"] for p in told} == {"subject_session_revoked"}
    assert len(told) == 3
    assert all("session_id" not in row.payload_json for row in left.outbox)
    world.assert_sound()


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("user", REVOKED, "subject_session_revoked"),
        ("user", {"status": "expired"}, "subject_session_expired"),
        ("user", PAST, "subject_session_expired"),
        ("application", REVOKED, "subject_session_revoked"),
        ("application", {"status": "expired"}, None),
        ("application", PAST, None),
    ],
)
def test_which_ends_of_a_session_end_its_agents(
    world: World, kind: str, changes: dict[str, Any], reason: str | None
) -> None:
    """An application's session is as long as one token: its agents outlive it."""
    session = make_session(world.application, session_type=kind)
    agent = on(world, session)
    assert end_stranded_agents().handled == 0
    change(session, changes)
    end_stranded_agents()
    assert world.agent(agent).termination_reason == reason
    assert world.agent(agent).status == ("terminated" if reason else "active")


def test_a_suspended_agent_ends_as_well(world: World) -> None:
    session = make_session(world.application)
    agent = on(world, session)
    world.suspend(agent)
    change(session, REVOKED)
    end_stranded_agents()
    assert world.agent(agent).status == "terminated"


@pytest.mark.parametrize("kind", [Application, Zone])
def test_what_an_archived_application_or_zone_left_behind_ends(
    world: World, kind: type[Application | Zone]
) -> None:
    agent = world.spawn()
    archived = world.application.id if kind is Application else world.zone.id
    kind._default_manager.filter(id=archived).update(archived_at=timezone.now())
    end_stranded_agents()
    expected = "application_archived" if kind is Application else "zone_archived"
    assert world.agent(agent).termination_reason == expected


def test_a_sweep_goes_on_until_nothing_is_left(world: World) -> None:
    sessions = [make_session(world.application) for _ in range(3)]
    agents = [on(world, session) for session in sessions for _ in range(3)]
    for session in sessions:
        change(session, REVOKED)
    assert end_stranded_agents(limit=2).handled == 9
    assert {world.agent(agent).status for agent in agents} == {"terminated"}
    assert end_stranded_agents(limit=2).handled == 0
    world.assert_sound()


def test_a_zone_that_fails_keeps_no_other_waiting(
    world: World, elsewhere: Zone
) -> None:
    """W47. Nothing can be ended in the one zone."""
    worlds = [world, World(elsewhere, world.coordinator)]
    agents = []
    for each in worlds:
        session = make_session(each.application)
        agents += [on(each, session) for _ in range(3)]
        change(session, REVOKED)
    with refusing(world.zone.id, "agent_sessions", change="UPDATE"):
        outcome = end_stranded_agents(limit=2)
    assert world.zone.id in outcome.error
    assert (outcome.handled, outcome.backlog) == (3, 1)
    statuses = [world.agent(agent).status for agent in agents]
    assert statuses == ["active"] * 3 + ["terminated"] * 3
    assert end_stranded_agents().handled == 3


def test_two_workers_at_once_end_each_agent_once(world: World, events: Events) -> None:
    session = make_session(world.application)
    agents = [on(world, session) for _ in range(4)]
    change(session, REVOKED)
    events.take()
    ids = [agent["agent_session_id"] for agent in agents]
    with Threads(2) as threads:
        with held(AgentSession.objects.filter(id=ids[-1])) as wait_for:
            sweeps = [threads.start(end_stranded_agents) for _ in range(2)]
            wait_for(2)
        assert sum(sweep.result().handled for sweep in sweeps) == 4
    left = events.take()
    assert len(left.payloads(LIFECYCLE)) == 4
    assert len(left.audit) == 1
    world.assert_sound()


def test_a_sweep_meets_the_end_of_the_same_agent(world: World) -> None:
    session = make_session(world.application)
    agent = on(world, session)
    change(session, REVOKED)
    rows = AgentSession.objects.filter(id=agent["agent_session_id"])
    with Threads(1) as threads:
        with held(rows) as wait_for:
            ended = world.start("DELETE", f"/agents/{agent['agent_session_id']}")
            wait_for(1)
            sweep = threads.start(end_stranded_agents)
            wait_for(2)
        assert world.at_once(ended) == [204]
        assert sweep.result().handled == 0
    assert world.agent(agent).transition == 1


def test_the_job_counts_what_it_ended(world: World) -> None:
    session = make_session(world.application)
    on(world, session)
    change(session, REVOKED)
    assert tasks.end_stranded_agents().handled == 1
    assert (
        AdminAuditEvent.objects.in_zone(world.zone.id)
        .filter(path="end-stranded-agents")
        .exists()
    )
