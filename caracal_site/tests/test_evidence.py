"""If it changed authority, the same transaction recorded it and queued the news."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.db import connection

from agents.models import AgentSession
from audit.models import AdminAuditEvent, OutboxEvent
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import World
from delegations.models import DelegationEdge

Made = dict[str, Any]
Gesture = Callable[[World, Made, Made, Made], httpx.Response]

# What is done with two agents and an edge between them; what the row is about.
GESTURES: dict[str, tuple[Gesture, str, str]] = {
    "spawn": (lambda w, a, b, e: w.try_spawn(), "agents", "agent_session_id"),
    "spawn below": (lambda w, a, b, e: w.try_spawn(b), "agents", "agent_session_id"),
    "suspend": (lambda w, a, b, e: w.suspend(a), "agents", ""),
    "terminate": (lambda w, a, b, e: w.terminate(a), "agents", ""),
    "delegate": (
        lambda w, a, b, e: w.try_delegate(a, w.spawn()),
        "delegations",
        "delegation_edge_id",
    ),
    "revoke": (lambda w, a, b, e: w.revoke(e), "delegations", ""),
}


@pytest.fixture
def made(world: World) -> tuple[Made, Made, Made]:
    a, b = world.spawn(), world.spawn()
    return a, b, world.delegate(a, b, constraints={"max_hops": 3})


@pytest.mark.parametrize("name", GESTURES)
def test_every_change_leaves_one_audit_row_and_its_news(
    world: World, events: Events, made: tuple[Made, Made, Made], name: str
) -> None:
    gesture, entity_type, member = GESTURES[name]
    answer = gesture(world, *made)
    assert answer.status_code < 300
    left = events.take()
    row = left.audit[-1]
    assert row.request_id == answer.headers["X-Request-ID"]
    assert [r.request_id for r in left.audit].count(row.request_id) == 1
    assert row.entity_type == entity_type
    if member:
        assert row.entity_id == answer.json()[member]
    else:
        assert row.entity_id in (
            made[0]["agent_session_id"],
            made[2]["delegation_edge_id"],
        )
    assert row.status_code == answer.status_code
    assert row.actor_id == row.actor_name == world.application.id
    assert row.path == answer.request.url.path
    news = [out for out in left.outbox if out.request_id == row.request_id]
    assert news
    assert all(out.producer == "coordinator" for out in news)
    assert all(out.payload_json["zone_id"] == world.zone.id for out in news)
    assert not any("session_id" in out.payload_json for out in news)


def counts(world: World) -> list[int]:
    zone = {"zone_id": world.zone.id}
    return [
        model.objects.filter(**zone).count()
        for model in (AdminAuditEvent, OutboxEvent, AgentSession, DelegationEdge)
    ] + [world.epoch(), world.room_taken()]


@pytest.mark.parametrize("name", GESTURES)
@pytest.mark.parametrize("table", ["admin_audit_events", "event_outbox"])
def test_without_evidence_there_is_no_change(
    world: World, made: tuple[Made, Made, Made], name: str, table: str
) -> None:
    """A trigger refuses the rows of this zone: nothing of the change remains."""
    extra = world.spawn()
    before = counts(world)
    function = f"refuse_{table}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no room for evidence'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER {function} BEFORE INSERT ON {table} FOR EACH ROW"
            f" WHEN (NEW.zone_id = '{world.zone.id}') EXECUTE FUNCTION {function}()"
        )
    try:
        gesture = GESTURES[name][0]
        if name == "delegate":
            answer = world.try_delegate(made[0], extra)
        else:
            answer = gesture(world, *made)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP FUNCTION {function} CASCADE")
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "error_description", "requestId"}
    assert "evidence" not in answer.text
    after = counts(world)
    # The refusal itself is recorded once the evidence can be written again.
    after[0] = before[0] if table == "event_outbox" else after[0]
    assert after == before
    assert {world.agent(agent).status for agent in (*made[:2], extra)} == {"active"}
    assert world.edge(made[2]).status == "active"
    world.assert_sound()


def test_a_change_of_nothing_leaves_no_news(world: World, events: Events) -> None:
    agent = world.spawn()
    world.terminate(agent)
    events.take()
    world.terminate(agent)
    world.suspend(agent)
    world.resume(agent)
    assert events.take().outbox == []


def test_news_come_in_the_order_of_their_causes(world: World, events: Events) -> None:
    agent = world.spawn()
    world.suspend(agent)
    world.resume(agent)
    world.terminate(agent)
    told = events.take().payloads("caracal.agents.lifecycle")
    assert [news["event"] for news in told] == [
        "spawn",
        "suspend",
        "resume",
        "terminate",
    ]
