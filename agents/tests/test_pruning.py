"""W45: ended agents, their services and calls are not kept for ever, and none goes that
something still names."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

import pytest
from django.conf import LazySettings

from agents import services, tasks
from agents.invocations import services as invocations
from agents.models import AgentService, AgentSession, Invocation
from agents.registry import services as registry
from audit.models import AdminAuditEvent, OutboxEvent
from caracal_site import jobs
from caracal_site.ids import new_id
from caracal_site.models import JobRun
from caracal_site.testing.ageing import days_ago, id_made
from caracal_site.testing.races import Threads, held
from caracal_site.testing.world import World
from delegations.models import DelegationEdge
from delegations.services import prune_edges
from tokens.models import Session, StepUpChallenge
from tokens.tests.factories import make_session

AGENTS, CALLS = 90, 30
Row = AgentSession | AgentService | Invocation | DelegationEdge


@pytest.fixture(autouse=True)
def retention(settings: LazySettings) -> None:
    settings.DELEGATION_RETENTION_DAYS = 90
    settings.AGENT_RETENTION_DAYS = AGENTS
    settings.INVOCATION_RETENTION_DAYS = CALLS


def are_there(*rows: Row) -> list[bool]:
    return [type(row).objects.filter(pk=row.pk).exists() for row in rows]


class Past:
    """Agents, services and calls of a zone, as they were so many days ago."""

    def __init__(self, world: World) -> None:
        self.world = world

    def agent(
        self, days: float = 100, *, parent: AgentSession | None = None, **fields: Any
    ) -> AgentSession:
        """One that was spawned a day before it ended, so many days ago."""
        defaults = {"status": "terminated", "terminated_at": days_ago(days)}
        return AgentSession.objects.create(
            id=id_made(days + 1),
            zone=self.world.zone,
            application_id=self.world.application.id,
            subject_session=self.world.session(),
            parent=parent,
            ancestor_ids=[*parent.ancestor_ids, parent.id] if parent else [],
            depth=parent.depth + 1 if parent else 0,
            **(defaults | fields),
        )

    def chain(self, length: int) -> list[AgentSession]:
        """Agents each below the one before it, all of one moment."""
        agents: list[AgentSession] = []
        for _ in range(length):
            agents.append(self.agent(parent=agents[-1] if agents else None))
        return agents

    def live(self) -> AgentSession:
        return self.world.agent(self.world.spawn())

    def edge(
        self, source: AgentSession, target: AgentSession, days: float = 100
    ) -> DelegationEdge:
        edge_id = id_made(days + 1)
        return DelegationEdge.objects.create(
            id=edge_id,
            zone=self.world.zone,
            source_session=source,
            target_session=target,
            issuer_application_id=source.application_id,
            receiver_application_id=target.application_id,
            root_edge_id=edge_id,
            status="expired",
            expires_at=days_ago(days),
        )

    def service(self, deregistered_at: datetime | None = None) -> AgentService:
        return AgentService.objects.create(
            id=id_made(300),
            zone=self.world.zone,
            application_id=self.world.application.id,
            endpoint_url=f"https://{new_id()}.example.com",
            deregistered_at=deregistered_at,
        )

    def call(
        self, service: AgentService, days: float = 40, **fields: Any
    ) -> Invocation:
        """One that was made a day before it ended, so many days ago."""
        defaults = {"status": "succeeded", "completed_at": days_ago(days)}
        return Invocation.objects.create(
            id=id_made(days + 1),
            zone=self.world.zone,
            application_id=self.world.application.id,
            service=service,
            idempotency_key=new_id(),
            method="work.do",
            **(defaults | fields),
        )


@pytest.fixture
def past(world: World) -> Past:
    return Past(world)


def test_agents_that_ended_long_ago_go_and_are_counted(past: Past) -> None:
    gone = [past.agent(), past.agent(91, status="expired")]
    stay = [past.live(), past.agent(89), past.agent(200, terminated_at=days_ago(80))]
    old = past.agent(200, status="suspended", terminated_at=None)
    tasks.prune_agents()
    assert are_there(*gone) == [False, False]
    assert all(are_there(old, *stay))
    assert JobRun.objects.get(name="prune-agents").handled >= 2


def test_without_days_nothing_goes(past: Past, settings: LazySettings) -> None:
    settings.AGENT_RETENTION_DAYS = settings.INVOCATION_RETENTION_DAYS = 0
    service = past.service(days_ago(4_000))
    rows = past.agent(4_000), service, past.call(past.service(), 4_000)
    tasks.prune_invocations()
    tasks.prune_agents()
    tasks.prune_agent_services()
    assert all(are_there(*rows))


def test_a_tree_goes_in_one_run_whatever_the_batches(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH_SIZE", 3)
    chain = past.chain(8)
    tasks.prune_agents()
    assert not any(are_there(*chain))


def test_an_agent_stays_as_long_as_one_below_it(past: Past) -> None:
    root = past.agent(200)
    child = past.agent(150, parent=root, terminated_at=days_ago(80))
    aside = past.agent(150, parent=root)
    tasks.prune_agents()
    assert are_there(root, child, aside) == [True, True, False]
    AgentSession.objects.filter(id=child.id).update(terminated_at=days_ago(91))
    tasks.prune_agents()
    assert not any(are_there(root, child))


def test_an_agent_goes_after_what_was_delegated_from_and_to_it(past: Past) -> None:
    source, target = past.agent(), past.agent()
    edge = past.edge(source, target, 89)
    tasks.prune_agents()
    assert all(are_there(source, target))
    DelegationEdge.objects.filter(id=edge.id).update(expires_at=days_ago(91))
    prune_edges(90)
    tasks.prune_agents()
    assert not any(are_there(edge, source, target))


@pytest.mark.parametrize("end", ["source_session", "target_session"])
def test_an_agent_goes_after_its_calls(past: Past, end: str) -> None:
    agent = past.agent()
    call = past.call(past.service(), 101, completed_at=days_ago(29), **{end: agent})
    tasks.prune_invocations()
    tasks.prune_agents()
    assert all(are_there(call, agent))
    Invocation.objects.filter(id=call.id).update(completed_at=days_ago(31))
    tasks.prune_invocations()
    tasks.prune_agents()
    assert not any(are_there(call, agent))


def test_what_a_token_that_can_be_used_names_stays(past: Past) -> None:
    used, ended = past.agent(), past.agent()
    for agent, status in ((used, "active"), (ended, "expired")):
        session = make_session(
            past.world.application, agent_session_id=agent.id, status=status
        )
        Session.objects.filter(id=session.id).update(created_at=days_ago(101))
    tasks.prune_agents()
    assert are_there(used, ended) == [True, False]


def test_what_a_request_for_approval_that_waits_names_stays(past: Past) -> None:
    agent = past.agent()
    challenge = StepUpChallenge.objects.create(
        zone=past.world.zone,
        application_id=past.world.application.id,
        agent_session_id=agent.id,
        ttl_seconds=900,
        binding_hash=os.urandom(32),
        expires_at=days_ago(-1),
    )
    waits = StepUpChallenge.objects.filter(id=challenge.id)
    waits.update(created_at=days_ago(101))
    tasks.prune_agents()
    assert all(are_there(agent))
    waits.update(state="expired")
    tasks.prune_agents()
    assert not any(are_there(agent))


def test_calls_that_ended_long_ago_go_and_are_counted(past: Past) -> None:
    service = past.service()
    finished = ["succeeded", "failed", "canceled", "timed_out", "dead"]
    gone = [past.call(service, status=status) for status in finished]
    never_begun = past.call(service, completed_at=None)
    Invocation.objects.filter(id=never_begun.id).update(updated_at=days_ago(40))
    open_call = {"completed_at": None, "due_at": days_ago(-1)}
    stay = [
        past.call(service, 29),
        past.call(service, 40, completed_at=days_ago(29)),
        past.call(service, status="pending", **open_call),
        past.call(service, status="running", **open_call),
        past.call(service, status="cancel_requested", **open_call),
    ]
    tasks.prune_invocations()
    assert not any(are_there(never_begun, *gone))
    assert all(are_there(service, *stay))
    assert JobRun.objects.get(name="prune-invocations").handled >= 6


def test_the_key_of_a_call_that_went_makes_a_new_one(world: World) -> None:
    service, key = world.register(), new_id()
    first = world.invoke(service, idempotency_key=key)
    body = world.call_body(service, idempotency_key=key)
    assert world.post("/invocations", body).status_code == 200
    Invocation.objects.filter(id=first["id"]).update(
        id=id_made(40), status="succeeded", due_at=None, completed_at=days_ago(31)
    )
    tasks.prune_invocations()
    assert world.post("/invocations", body).status_code == 201
    world.assert_sound()


def test_services_deregistered_long_ago_go_after_their_calls(past: Past) -> None:
    gone, called = past.service(days_ago(91)), past.service(days_ago(91))
    stay = [past.service(), past.service(days_ago(89))]
    call = past.call(called, 29)
    tasks.prune_agent_services()
    assert are_there(gone, called, *stay) == [False, True, True, True]
    Invocation.objects.filter(id=call.id).update(
        id=id_made(40), completed_at=days_ago(31)
    )
    tasks.prune_invocations()
    tasks.prune_agent_services()
    assert are_there(called, *stay) == [False, True, True]
    assert JobRun.objects.get(name="prune-agent-services").handled >= 2


def test_room_and_evidence_are_as_they_were(world: World) -> None:
    root = world.spawn()
    world.spawn(root)
    kept = world.spawn()
    assert world.terminate(root).status_code == 204
    for agent in AgentSession.objects.in_zone(world.zone.id).exclude(
        terminated_at=None
    ):
        # A copy of long ago takes its place, as an id cannot be changed.
        agent.id, agent.parent, agent.depth = id_made(100), None, 0
        agent.ancestor_ids, agent.terminated_at = [], days_ago(91)
        agent.save(force_insert=True)

    def evidence() -> tuple[int, int]:
        rows = AdminAuditEvent.objects.filter(zone_id=world.zone.id)
        news = OutboxEvent.objects.filter(zone_id=world.zone.id)
        return rows.count(), news.count()

    before, rows = evidence(), AgentSession.objects.in_zone(world.zone.id).count()
    tasks.prune_agents()
    assert AgentSession.objects.in_zone(world.zone.id).count() == rows - 2
    assert evidence() == before
    assert world.room_taken() == 1
    assert world.agent(kept).status == "active"
    world.assert_sound()


def test_two_workers_at_once_remove_each_row_once(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH_SIZE", 5)
    service = past.service(days_ago(91))
    agents = [agent for _ in range(10) for agent in past.chain(4)]
    calls = [past.call(service, target_session=agent) for agent in agents]
    prunes = (
        (invocations.prune_invocations, CALLS),
        (services.prune_agents, AGENTS),
        (registry.prune_services, AGENTS),
    )
    with Threads(6) as threads:
        runs = [threads.start(*prune) for prune in prunes for _ in range(2)]
        for run in runs:
            run.result(30)
    for prune, days in prunes:
        prune(days)
    assert not any(are_there(service, *agents, *calls))


def test_rows_that_somebody_has_locked_are_left_to_the_next_run(past: Past) -> None:
    agents = past.agent(), past.agent()
    deregistered = past.service(days_ago(91)), past.service(days_ago(91))
    calls = past.call(past.service()), past.call(past.service())
    busy = [
        type(pair[0]).objects.filter(pk=pair[0].pk)
        for pair in (agents, deregistered, calls)
    ]
    with held(*busy), Threads(1) as threads:
        threads.start(services.prune_agents, AGENTS).result(10)
        threads.start(registry.prune_services, AGENTS).result(10)
        threads.start(invocations.prune_invocations, CALLS).result(10)
        for pair in (agents, deregistered, calls):
            assert are_there(*pair) == [True, False]
    tasks.prune_agents()
    tasks.prune_agent_services()
    tasks.prune_invocations()
    assert not any(are_there(agents[0], deregistered[0], calls[0]))
