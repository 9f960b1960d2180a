"""Calls under concurrent hands, and the job that moves on what is due."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone

from agents.invocations import machine, services
from agents.models import (
    AgentService,
    AgentSession,
    Invocation,
    InvocationStatus,
)
from agents.tasks import time_out_invocations
from caracal_site.models import JobRun
from caracal_site.testing.evidence import Events
from caracal_site.testing.races import Threads, held
from caracal_site.testing.refusing import refusing
from caracal_site.testing.world import World
from zones.models import Zone

LIFECYCLE = "caracal.invocations.lifecycle"
ROUNDS = range(10)
Made = dict[str, Any]


@pytest.fixture
def service(world: World) -> Made:
    return world.register()


def rows(*calls: Made) -> Any:
    return Invocation.objects.filter(id__in=[call["id"] for call in calls])


def due(*calls: Made) -> None:
    rows(*calls).update(due_at=timezone.now() - timedelta(seconds=1))


def told(events: Events, call: Made) -> list[str]:
    news = events.all().payloads(LIFECYCLE)
    return [each["event"] for each in news if each["invocation_id"] == call["id"]]


def assert_told_what_happened(world: World, events: Events, call: Made) -> None:
    """As many moves were told as the row has made, and each could follow the last."""
    row = world.invocation(call)
    moves = [event for event in told(events, call) if event != machine.CREATED]
    requests = moves.count(machine.CANCEL_REQUESTED)
    at_once = row.status == "canceled" and row.started_at is None and requests
    assert len(moves) - (1 if at_once else 0) == row.transition
    assert (row.status in machine.OPEN) == (row.due_at is not None)


def test_the_table_names_every_status_and_only_those() -> None:
    named = {status for move in machine.MOVES for status in (*move.sources, move.to)}
    assert named | {"dead"} == set(InvocationStatus.values)
    for status in machine.OPEN:
        for is_retryable in (True, False):
            on = machine.deadline(status, is_retryable=is_retryable)
            assert machine.move(on, status) is not None
        assert machine.move(machine.END, status) is not None
    final = named - set(machine.OPEN) - {"failed"}
    assert not any(set(move.sources) & final for move in machine.MOVES)


def test_the_manual_has_the_table() -> None:
    manual = Path(configured.BASE_DIR) / "docs" / "architecture.md"
    assert machine.as_markdown() in manual.read_text(encoding="utf-8")


def test_one_of_many_workers_starts_a_call(
    world: World, service: Made, events: Events
) -> None:
    for _ in ROUNDS:
        call = world.invoke(service)
        found = world.at_once(*(world.start_move("start", call) for _ in range(5)))
        assert sorted(found) == [200, 409, 409, 409, 409]
        assert world.invocation(call).attempts == 1
        assert_told_what_happened(world, events, call)


def test_completions_at_once_count_once(
    world: World, service: Made, events: Events
) -> None:
    for _ in ROUNDS:
        call = world.invoke(service)
        world.move("start", call)
        found = world.at_once(
            *(
                world.start_move("complete", call, {"status": status})
                for status in ("succeeded", "failed", "succeeded")
            ),
            world.start_move("cancel", call),
        )
        assert sorted(found[:3]) == [200, 409, 409]
        assert_told_what_happened(world, events, call)


@pytest.mark.parametrize("first", ["start", "terminate"])
def test_a_start_meets_the_end_of_its_session(
    world: World, service: Made, events: Events, first: str
) -> None:
    """Both wait for the session; whoever is first decides, and no call outlives it."""
    agent = world.spawn()
    id_ = agent["agent_session_id"]
    call = world.invoke(service, target_session_id=id_)
    starts = {
        "start": lambda: world.start_move("start", call),
        "terminate": lambda: world.start_turn("terminate", agent),
    }
    order = [first, *(starts.keys() - {first})]
    with held(AgentSession.objects.filter(id=id_)) as wait_for:
        begun = {}
        for number, name in enumerate(order, 1):
            begun[name] = starts[name]()
            wait_for(number)
    started, ended = world.at_once(begun["start"], begun["terminate"])
    assert ended == 204
    assert started == (200 if first == "start" else 409)
    assert world.invocation(call).status == "canceled"
    assert_told_what_happened(world, events, call)


def test_calls_meet_the_end_of_their_session(
    world: World, service: Made, events: Events
) -> None:
    """None is left open on an agent that ended, whenever it was made or moved."""
    for _ in ROUNDS:
        agent = world.spawn()
        id_ = agent["agent_session_id"]
        waiting, running = (
            world.invoke(service, source_session_id=id_, target_session_id=id_)
            for _ in range(2)
        )
        world.move("start", running)
        body = world.call_body(service, source_session_id=id_)
        found = world.at_once(
            world.start("POST", "/invocations", body),
            world.start_turn("terminate", agent),
            world.start_move("start", waiting),
            world.start_move("complete", running, {"status": "succeeded"}),
        )
        assert found[1] == 204
        assert found[0] in (201, 404)
        calls = Invocation.objects.filter(source_session_id=id_)
        assert not calls.open().exists()
        for call in (waiting, running):
            assert_told_what_happened(world, events, call)
        world.assert_sound()


def test_calls_meet_the_end_of_their_service(world: World, events: Events) -> None:
    for number in ROUNDS:
        service = world.register(f"https://{number}.example.com/")
        call = world.invoke(service)
        body = world.call_body(service)
        found = world.at_once(
            world.start("POST", "/invocations", body),
            world.start("DELETE", f"/agent-services/{service['id']}"),
            world.start_move("start", call),
        )
        assert found[1] == 204
        assert not Invocation.objects.filter(service_id=service["id"]).open().exists()
        assert_told_what_happened(world, events, call)


def test_a_new_call_waits_for_the_end_of_its_service(
    world: World, service: Made
) -> None:
    found = AgentService.objects.filter(id=service["id"])
    with held(found) as wait_for:
        ended = world.start("DELETE", f"/agent-services/{service['id']}")
        wait_for(1)
        called = world.start("POST", "/invocations", world.call_body(service))
        wait_for(2)
    assert world.at_once(ended, called) in ([204, 404], [204, 201])
    assert not Invocation.objects.filter(service_id=service["id"]).open().exists()


@pytest.mark.parametrize(
    ("moves", "attempts", "status", "reason", "event"),
    [
        ((), 3, "timed_out", "queue_deadline_exceeded", machine.TIMED_OUT),
        (("start",), 3, "failed", "deadline_exceeded", machine.FAILED),
        (("start",), 1, "timed_out", "deadline_exceeded", machine.TIMED_OUT),
        (
            ("start", "cancel"),
            3,
            "canceled",
            "cancel_deadline_exceeded",
            machine.CANCELED,
        ),
    ],
)
def test_every_open_call_has_an_end(
    world: World,
    service: Made,
    events: Events,
    moves: tuple[str, ...],
    attempts: int,
    status: str,
    reason: str,
    event: str,
) -> None:
    """W33: waiting and canceled calls never timed out."""
    policy = {"max_attempts": attempts, "backoff_ms": 5000}
    call = world.invoke(service, retry_policy=policy)
    for verb in moves:
        world.move(verb, call)
    due(call)
    events.take()
    assert services.time_out_invocations().handled >= 1
    row = world.invocation(call)
    assert (row.status, row.error_json) == (status, {"reason": reason})
    assert row.completed_at is not None
    left = events.take()
    assert [news["event"] for news in left.payloads(LIFECYCLE)] == [event]
    (audit,) = left.audit
    assert audit.payload_json["event"] == "invocations.closed"
    wait = row.not_before_at - row.completed_at if row.not_before_at else None
    assert wait == (timedelta(seconds=5) if status == "failed" else None)
    assert services.time_out_invocations().handled == 0 or world.invocation(call) == row


def test_what_is_due_is_worked_off_in_batches(world: World, service: Made) -> None:
    calls = [world.invoke(service) for _ in range(7)]
    due(*calls)
    assert services.time_out_invocations(limit=2).handled >= 7
    assert not rows(*calls).open().exists()


def test_a_zone_that_fails_keeps_no_other_call_waiting(
    world: World, service: Made, elsewhere: Zone
) -> None:
    """W47: the failure of one zone undid the run of all, again every time."""
    other = World(elsewhere, world.coordinator)
    stuck, free = world.invoke(service), other.invoke(other.register())
    due(stuck, free)
    with refusing(world.zone.id, "agent_invocations", change="UPDATE"):
        outcome = services.time_out_invocations()
    assert world.zone.id in outcome.error
    assert outcome.backlog == 1
    found = [world.invocation(stuck).status, other.invocation(free).status]
    assert found == ["pending", "timed_out"]
    services.time_out_invocations()
    assert world.invocation(stuck).status == "timed_out"


def test_two_workers_at_once_move_each_call_once(
    world: World, service: Made, events: Events
) -> None:
    calls = [world.invoke(service) for _ in range(8)]
    due(*calls)
    with Threads(2) as threads:
        runs = [threads.start(services.time_out_invocations, 3) for _ in range(2)]
        for run in runs:
            run.result()
    services.time_out_invocations()
    assert {row.transition for row in rows(*calls)} == {1}
    for call in calls:
        assert told(events, call) == [machine.CREATED, machine.TIMED_OUT]


def test_a_call_that_is_just_completed_is_left_alone(
    world: World, service: Made, events: Events
) -> None:
    for _ in ROUNDS:
        call = world.invoke(service)
        world.move("start", call)
        due(call)
        with Threads(1) as threads:
            run = threads.start(services.time_out_invocations)
            found = world.at_once(
                world.start_move("complete", call, {"status": "succeeded"})
            )
            run.result()
        expected = "succeeded" if found == [200] else "failed"
        assert world.invocation(call).status == expected
        assert_told_what_happened(world, events, call)


def test_the_job_is_recorded_under_its_name(world: World, service: Made) -> None:
    due(world.invoke(service))
    time_out_invocations()
    assert JobRun.objects.get(name="time-out-invocations").handled >= 1
