"""Calls of services over the API: shapes, who may, and how they move (D17)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from agents.invocations import machine
from agents.models import AgentSession, Invocation, InvocationStatus
from caracal_site.testing.evidence import Events
from caracal_site.testing.refusing import refusing
from caracal_site.testing.world import ADMIN, World, refusal

CALLS = "/invocations"
LIFECYCLE = "caracal.invocations.lifecycle"
NOT_STARTABLE = (409, "invocation_not_startable")
NOT_CANCELABLE = (409, "invocation_not_cancelable")
NOT_COMPLETABLE = (409, "invocation_not_completable")
OUTSIDE = (403, "outside_agent_subtree")
NOT_YOURS = (403, "invoker_ownership_required")
Made = dict[str, Any]


@pytest.fixture
def service(world: World) -> Made:
    return world.register()


def id_of(agent: Made) -> str:
    return str(agent["agent_session_id"])


def start(world: World, call: Made) -> Made:
    answer = world.move("start", call)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def complete(world: World, call: Made, status: str = "succeeded", **more: Any) -> Made:
    answer = world.move("complete", call, {"status": status, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def no_backoff(attempts: int = 3) -> Made:
    return {"retry_policy": {"max_attempts": attempts, "backoff_ms": 0}}


def test_a_call_waits_with_what_was_asked_for(
    world: World, service: Made, events: Events
) -> None:
    a, b = world.spawn(), world.spawn()
    events.take()
    members: Made = {
        "source_session_id": id_of(a),
        "target_session_id": id_of(b),
        "params": [1, {"a": None}],
        "metadata": {"m": 1},
        "timeout_ms": 5000,
        "retry_policy": {"max_attempts": 2},
    }
    made = world.invoke(service, **members)
    assert world.get(f"{CALLS}/{made['id']}").json() == made
    row = world.invocation(made)
    assert row.due_at - row.created_at == timedelta(hours=1)
    assert {name: made[name] for name in made if not name.endswith("_at")} == {
        "id": row.id,
        "zone_id": world.zone.id,
        "service_id": service["id"],
        "source_session_id": id_of(a),
        "target_session_id": id_of(b),
        "idempotency_key": row.idempotency_key,
        "method": "work.do",
        "params_json": [1, {"a": None}],
        "metadata_json": {"m": 1},
        "status": "pending",
        "attempts": 0,
        "max_attempts": 2,
        "timeout_ms": 5000,
        "retry_policy_json": {"max_attempts": 2, "backoff_ms": 1000},
        "error_json": None,
    }
    set_times = {name for name in made if name.endswith("_at") and made[name]}
    assert set_times == {"created_at", "queue_deadline_at"}
    left = events.take()
    assert left.keys == [f"invocation.created:{row.id}"]
    assert left.payloads(LIFECYCLE) == [
        {
            "event": "invocation.created",
            "zone_id": world.zone.id,
            "service_id": service["id"],
            "invocation_id": row.id,
        }
    ]
    (audit,) = left.audit
    assert (audit.entity_type, audit.entity_id) == ("invocations", row.id)
    assert (audit.status_code, audit.payload_json["method"]) == (201, "work.do")


def test_a_call_is_worked_on_and_ends(
    world: World, service: Made, events: Events
) -> None:
    call = world.invoke(service, metadata={"in": 1})
    events.take()
    running = start(world, call)
    assert (running["status"], running["attempts"]) == ("running", 1)
    row = world.invocation(call)
    assert row.deadline_at - row.started_at == timedelta(seconds=30)
    done = complete(world, call, metadata={"out": 2})
    assert (done["status"], done["error_json"]) == ("succeeded", None)
    assert done["metadata_json"] == {"in": 1, "out": 2}
    assert done["completed_at"] > done["started_at"]
    left = events.take()
    id_ = call["id"]
    assert left.keys == [f"invocation.started:{id_}:1", f"invocation.succeeded:{id_}:2"]
    assert all(news["service_id"] == service["id"] for news in left.payloads(LIFECYCLE))
    assert [row.payload_json["event"] for row in left.audit] == [
        "invocation.started",
        "invocation.succeeded",
    ]
    assert [row.status_code for row in left.audit] == [200, 200]


def test_an_error_is_kept_and_told(world: World, service: Made) -> None:
    """W33: the details of an error were never returned."""
    call = world.invoke(service, **no_backoff())
    start(world, call)
    failed = complete(world, call, "failed", error={"code": "x", "at": [1]})
    assert failed["error_json"] == {"code": "x", "at": [1]}
    assert world.get(f"{CALLS}/{call['id']}").json()["error_json"]["code"] == "x"
    assert start(world, call)["error_json"] is None, "the next attempt has none yet"


def test_attempts_run_out(world: World, service: Made, events: Events) -> None:
    """W12: the second start and the second failure were not told."""
    call = world.invoke(service, **no_backoff(2))
    for attempt in (1, 2):
        assert start(world, call)["attempts"] == attempt
        assert complete(world, call, "failed")["not_before_at"] is None or attempt == 1
    assert refusal(world.move("start", call)) == NOT_STARTABLE
    assert world.invocation(call).status == "failed"
    keys = [key for key in events.take().keys if key]
    assert len(keys) == len(set(keys)) == 5, "every start and failure has its own key"


def test_the_next_attempt_waits_for_its_backoff(world: World, service: Made) -> None:
    """W33: the backoff of a retry was ignored."""
    policy = {"max_attempts": 3, "backoff_ms": 300_000}
    call = world.invoke(service, retry_policy=policy)
    start(world, call)
    failed = complete(world, call, "failed")
    row = world.invocation(call)
    assert failed["not_before_at"]
    assert row.not_before_at - row.completed_at == timedelta(minutes=5)
    early = world.move("start", call)
    assert refusal(early) == NOT_STARTABLE
    assert 290 < int(early.headers["Retry-After"]) <= 300
    past = timezone.now() - timedelta(seconds=1)
    Invocation.objects.filter(id=call["id"]).update(not_before_at=past)
    assert start(world, call)["not_before_at"] is None


def test_a_worker_of_an_earlier_attempt_completes_nothing(
    world: World, service: Made
) -> None:
    """W33: the worker of attempt 1 could complete attempt 2."""
    call = world.invoke(service, **no_backoff())
    first = start(world, call)["attempts"]
    complete(world, call, "failed")
    second = start(world, call)["attempts"]
    stale = world.move("complete", call, {"status": "succeeded", "attempt": first})
    assert refusal(stale) == (409, "invocation_attempt_superseded")
    assert world.invocation(call).status == "running"
    assert complete(world, call, attempt=second)["status"] == "succeeded"


def test_a_call_that_waits_is_canceled_at_once(
    world: World, service: Made, events: Events
) -> None:
    """W33: it was told as a request only, and never completed."""
    call = world.invoke(service)
    events.take()
    canceled = world.move("cancel", call, {"reason": "stop"}).json()
    assert canceled["status"] == "canceled"
    assert canceled["metadata_json"] == {"cancel_reason": "stop"}
    assert canceled["completed_at"] == canceled["cancel_requested_at"] is not None
    left = events.take()
    assert [news["event"] for news in left.payloads(LIFECYCLE)] == [
        "invocation.cancel_requested",
        "invocation.canceled",
    ]
    assert left.audit[0].payload_json["reason"] == "stop"
    for verb in ("cancel", "start"):
        assert world.move(verb, call).status_code == 409


def test_a_call_that_runs_is_asked_to_end(
    world: World, service: Made, events: Events
) -> None:
    call = world.invoke(service)
    start(world, call)
    asked = world.move("cancel", call).json()
    assert (asked["status"], asked["completed_at"]) == ("cancel_requested", None)
    row = world.invocation(call)
    left = row.due_at - row.cancel_requested_at
    assert timedelta(seconds=25) < left <= timedelta(seconds=30)
    again = world.move("cancel", call).json()
    assert again["cancel_requested_at"] >= asked["cancel_requested_at"]
    assert world.invocation(call).due_at <= row.due_at, "asking again gives no time"
    acknowledged = complete(world, call, "canceled")
    assert acknowledged["status"] == "canceled"
    told = [news["event"] for news in events.take().payloads(LIFECYCLE)]
    assert told[-3:] == [
        "invocation.cancel_requested",
        "invocation.cancel_requested",
        "invocation.canceled",
    ]


def test_a_call_that_was_canceled_is_not_started_again(
    world: World, service: Made
) -> None:
    """W33: after a cancel request and a failure it could be."""
    call = world.invoke(service, **no_backoff())
    start(world, call)
    world.move("cancel", call)
    assert complete(world, call, "failed")["not_before_at"] is None
    assert refusal(world.move("start", call)) == NOT_STARTABLE


def test_only_who_was_asked_to_end_completes_as_canceled(
    world: World, service: Made
) -> None:
    call = world.invoke(service)
    start(world, call)
    answer = world.move("complete", call, {"status": "canceled"})
    assert refusal(answer) == NOT_COMPLETABLE


VERBS: dict[str, tuple[str, Any, tuple[int, str]]] = {
    "start": ("start", None, NOT_STARTABLE),
    "cancel": ("cancel", None, NOT_CANCELABLE),
    "complete as succeeded": ("complete", {"status": "succeeded"}, NOT_COMPLETABLE),
    "complete as failed": ("complete", {"status": "failed"}, NOT_COMPLETABLE),
    "complete as canceled": ("complete", {"status": "canceled"}, NOT_COMPLETABLE),
}


@pytest.mark.parametrize("on", VERBS)
@pytest.mark.parametrize("status", InvocationStatus.values)
def test_a_call_moves_as_the_table_says_and_not_otherwise(
    world: World, service: Made, events: Events, on: str, status: str
) -> None:
    verb, body, refused = VERBS[on]
    call = world.invoke(service)
    due = timezone.now() + timedelta(hours=1) if status in machine.OPEN else None
    Invocation.objects.filter(id=call["id"]).update(
        status=status, due_at=due, attempts=1
    )
    events.take()
    answer = world.move(verb, call, body)
    move = machine.move(on, status)
    left = events.take()
    if move is None:
        assert refusal(answer) == refused
        assert world.invocation(call).status == status
        assert left.outbox == []
    else:
        assert answer.json()["status"] == move.to
        told = [news["event"] for news in left.payloads(LIFECYCLE)]
        assert told == list(move.tells)
        assert world.invocation(call).transition == 1


def test_a_key_names_one_call_of_its_caller(world: World, service: Made) -> None:
    """W18: another application was answered the first one's call."""
    other = world.make_application()
    theirs = world.spawn(by=other)
    body = world.call_body(service, idempotency_key="k", params={"secret": 1})
    first = world.post(CALLS, body)
    again = world.post(CALLS, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    mine = world.invoke(
        service, by=other, idempotency_key="k", source_session_id=id_of(theirs)
    )
    assert mine["id"] != first.json()["id"]
    for member, value in (
        ("method", "other"),
        ("params", {"secret": 2}),
        ("timeout_ms", 1),
        ("metadata", {"a": 1}),
    ):
        answer = world.post(CALLS, {**body, member: value})
        assert refusal(answer) == (409, "idempotency_key_conflict")


def test_a_repeat_is_answered_whatever_became_of_the_call(
    world: World, service: Made
) -> None:
    agent = world.spawn()
    body = world.call_body(service, source_session_id=id_of(agent))
    world.post(CALLS, body)
    world.terminate(agent)
    again = world.post(CALLS, body)
    assert again.status_code == 200
    assert again.json()["status"] == "canceled"


def test_a_keyed_repeat_is_answered_as_the_first_was(
    world: World, service: Made
) -> None:
    headers = {"Idempotency-Key": "k"}
    body = world.call_body(service)
    first = world.post(CALLS, body, headers=headers)
    world.move("cancel", first.json())
    again = world.post(CALLS, body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"


def test_calls_at_once_under_one_key_are_one(world: World, service: Made) -> None:
    for _ in range(5):
        body = world.call_body(service)
        found = world.at_once(*(world.start("POST", CALLS, body) for _ in range(5)))
        assert sorted(found) == [200, 200, 200, 200, 201]


def test_sessions_of_a_call_must_be_live(world: World, service: Made) -> None:
    ended, resting, over = (world.spawn() for _ in range(3))
    leased = world.spawn(lifecycle="service")
    world.terminate(ended)
    world.suspend(resting)
    past = timezone.now() - timedelta(seconds=1)
    AgentSession.objects.filter(id=id_of(over)).update(expires_at=past)
    for side in ("source_session_id", "target_session_id"):
        for wrong in ("nope", id_of(ended), id_of(resting), id_of(over)):
            answer = world.post(CALLS, world.call_body(service, **{side: wrong}))
            assert refusal(answer) == (404, "agent_session_not_found")
    # W33: a service could not take part, nor an agent call itself.
    world.invoke(service, source_session_id=id_of(leased))
    world.invoke(
        service, source_session_id=id_of(leased), target_session_id=id_of(leased)
    )
    AgentSession.objects.filter(id=id_of(leased)).update(heartbeat_deadline_at=past)
    answer = world.post(
        CALLS, world.call_body(service, target_session_id=id_of(leased))
    )
    assert refusal(answer) == (404, "agent_session_not_found")


def test_only_live_sessions_start_another_attempt(world: World, service: Made) -> None:
    agent = world.spawn()
    call = world.invoke(service, target_session_id=id_of(agent), **no_backoff())
    start(world, call)
    complete(world, call, "failed")
    world.terminate(agent)
    assert refusal(world.move("start", call)) == NOT_STARTABLE


def test_a_call_past_its_queue_deadline_is_not_started(
    world: World, service: Made
) -> None:
    call = world.invoke(service)
    past = timezone.now() - timedelta(seconds=1)
    Invocation.objects.filter(id=call["id"]).update(due_at=past)
    assert refusal(world.move("start", call)) == NOT_STARTABLE


def test_who_may_call(world: World, service: Made) -> None:
    other = world.make_application()
    mine, theirs = world.spawn(), world.spawn(by=other)
    body = world.call_body(service)
    assert refusal(world.post(CALLS, body, by=other)) == NOT_YOURS
    leave = (f"coordinator.invoke_from:{world.application.id}",)
    assert world.post(CALLS, body, by=other, scopes=leave).status_code == 201
    body = world.call_body(service, source_session_id=id_of(theirs))
    assert refusal(world.post(CALLS, body)) == NOT_YOURS
    assert world.post(CALLS, body, scopes=(ADMIN,)).status_code == 201
    body = world.call_body(service, source_session_id=id_of(theirs))
    assert world.post(CALLS, body, by=other).status_code == 201, "it calls as itself"
    body = world.call_body(service, source_session_id=id_of(mine))
    assert refusal(world.post(CALLS, body, by=other)) == NOT_YOURS


def test_who_called_may_cancel_and_nothing_else(world: World, service: Made) -> None:
    """W33: the caller could not cancel its own call."""
    other, third = world.make_application(), world.make_application()
    agent = world.spawn(by=other)
    call = world.invoke(service, by=other, source_session_id=id_of(agent))
    assert refusal(world.move("start", call, by=other)) == NOT_YOURS
    assert refusal(world.move("cancel", call, by=third)) == NOT_YOURS
    start(world, call)
    done = world.move("complete", call, {"status": "succeeded"}, by=other)
    assert refusal(done) == NOT_YOURS
    assert world.move("cancel", call, by=other).json()["status"] == "cancel_requested"
    leave = (f"coordinator.invoke_from:{world.application.id}",)
    body = {"status": "canceled"}
    answer = world.move("complete", call, body, by=third, scopes=leave)
    assert answer.json()["status"] == "canceled"


def test_a_bound_token_calls_as_its_agent(world: World, service: Made) -> None:
    root = world.spawn()
    agent = world.spawn(root)
    below = world.spawn(agent)
    bound = world.token(agent_session_id=id_of(agent))
    made = world.post(CALLS, world.call_body(service), token=bound)
    assert made.json()["source_session_id"] == id_of(agent)
    body = world.call_body(service, source_session_id=id_of(below))
    assert world.post(CALLS, body, token=bound).status_code == 201
    body = world.call_body(service, source_session_id=id_of(root))
    assert refusal(world.post(CALLS, body, token=bound)) == OUTSIDE
    assert refusal(world.move("start", made.json(), token=bound)) == OUTSIDE
    assert world.move("cancel", made.json(), token=bound).status_code == 200
    for target, expected in ((root, 403), (agent, 200), (below, 200)):
        call = world.invoke(service, target_session_id=id_of(target))
        assert world.move("start", call, token=bound).status_code == expected
        body = {"status": "succeeded"}
        assert world.move("complete", call, body, token=bound).status_code in (403, 200)


def test_a_call_is_seen_by_its_parties(world: World, service: Made) -> None:
    other, third = world.make_application(), world.make_application()
    agent = world.spawn(by=other)
    call = world.invoke(service, target_session_id=id_of(agent))
    path = f"{CALLS}/{call['id']}"
    for by in (None, other):
        assert world.get(path, by=by).status_code == 200
    assert refusal(world.get(path, by=third)) == (404, "invocation_not_found")
    assert world.get(path, by=third, scopes=(ADMIN,)).status_code == 200
    assert refusal(world.get(f"{CALLS}/nope")) == (404, "invocation_not_found")


def test_lists_are_narrowed_and_paged(world: World, service: Made) -> None:
    agent = world.spawn()
    second = world.register("https://b.example.com/")
    calls = [
        world.invoke(service),
        world.invoke(service, source_session_id=id_of(agent)),
        world.invoke(second, target_session_id=id_of(agent)),
    ]
    world.move("cancel", calls[0])
    ids = [call["id"] for call in calls]

    def listed(query: str) -> list[str]:
        items = world.get(f"{CALLS}?{query}").json()["items"]
        return [item["id"] for item in items]

    assert listed("") == ids[::-1]
    assert listed("status=canceled") == ids[:1]
    assert listed(f"service_id={second['id']}") == ids[2:]
    assert listed(f"session_id={id_of(agent)}") == [ids[2], ids[1]]
    page = world.get(f"{CALLS}?limit=2").json()
    rest = world.get(f"{CALLS}?limit=2&cursor={page['next_cursor']}").json()
    assert [item["id"] for item in page["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert "params_json" not in page["items"][0]
    for wrong in ("status=odd", "session_id=", "limit=0", "mehtod=x"):
        assert refusal(world.get(f"{CALLS}?{wrong}")) == (400, "invalid_query")
    other = f"{CALLS}?limit=2&status=pending&cursor={page['next_cursor']}"
    assert refusal(world.get(other)) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"idempotency_key": None}, ["idempotency_key"]),
        ({"idempotency_key": ""}, ["idempotency_key"]),
        ({"idempotency_key": "k" * 256}, ["idempotency_key"]),
        ({"method": ""}, ["method"]),
        ({"service_id": 1}, ["service_id"]),
        ({"source_session_id": ""}, ["source_session_id"]),
        ({"timeout_ms": 0}, ["timeout_ms"]),
        ({"timeout_ms": 900_001}, ["timeout_ms"]),
        ({"timeout_ms": 1.5}, ["timeout_ms"]),
        ({"retry_policy": {"max_attempts": 11}}, ["retry_policy", "max_attempts"]),
        ({"retry_policy": {"max_attempts": 0}}, ["retry_policy", "max_attempts"]),
        ({"retry_policy": {"backoff_ms": 300_001}}, ["retry_policy", "backoff_ms"]),
        ({"retry_policy": None}, ["retry_policy"]),
        ({"metadata": []}, ["metadata"]),
        ({"priority": 1}, ["priority"]),
    ],
)
def test_a_wrong_call_is_refused(
    world: World, service: Made, members: Made, path: list[str]
) -> None:
    body = {**world.call_body(service), **members}
    answer = world.post(CALLS, body)
    assert refusal(answer) == (400, "invalid_body")
    assert answer.json()["details"]["issues"][0]["path"] == path


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("complete", None),
        ("complete", {}),
        ("complete", {"status": "done"}),
        ("complete", {"status": "failed", "error": "text"}),
        ("complete", {"status": "failed", "metadata": None}),
        ("complete", {"status": "failed", "attempt": 0}),
        ("complete", {"status": "failed", "result": 1}),
        ("cancel", {"reason": ""}),
        ("cancel", {"reason": "a\nb"}),
        ("cancel", {"why": "x"}),
        ("cancel", []),
    ],
)
def test_a_wrong_move_is_refused(
    world: World, service: Made, verb: str, body: Any
) -> None:
    call = world.invoke(service)
    start(world, call)
    assert refusal(world.move(verb, call, body)) == (400, "invalid_body")
    assert world.invocation(call).status == "running"


@pytest.mark.parametrize("verb", ["start", "cancel", "complete"])
def test_what_is_not_there_cannot_be_moved(world: World, verb: str) -> None:
    body = {"status": "succeeded"} if verb == "complete" else None
    gone = (404, "invocation_not_found")
    assert refusal(world.move(verb, {"id": "nope"}, body)) == gone
    assert refusal(world.move(verb, {"id": "no pe"}, body)) == (400, "invalid_params")


def test_params_may_be_anything_that_is_json(world: World, service: Made) -> None:
    given: list[Any] = [None, 0, "", "é", [], {"a": {"b": [None]}}, True, 1.5]
    for params in given:
        assert world.invoke(service, params=params)["params_json"] == params


@pytest.mark.parametrize("table", ["admin_audit_events", "event_outbox"])
def test_without_evidence_no_call_is_made_or_moved(
    world: World, service: Made, table: str
) -> None:
    """A trigger refuses the rows of this zone: nothing of the change remains."""
    waiting, running = world.invoke(service), world.invoke(service)
    start(world, running)
    with refusing(world.zone.id, table):
        answers = [
            world.post(CALLS, world.call_body(service)),
            world.move("start", waiting),
            world.move("cancel", waiting),
            world.move("complete", running, {"status": "succeeded"}),
            world.delete(f"/agent-services/{service['id']}"),
        ]
    assert {answer.status_code for answer in answers} == {500}
    found = Invocation.objects.in_zone(world.zone.id).order_by("id")
    assert [row.status for row in found] == ["pending", "running"]
    assert world.service(service).deregistered_at is None


def test_calls_and_moves_share_one_limit_a_caller(
    world: World, service: Made, settings: Settings
) -> None:
    settings.INVOCATION_RATE_LIMIT_PER_MIN = 3
    call = world.invoke(service)
    start(world, call)
    complete(world, call)
    for answer in (
        world.post(CALLS, world.call_body(service)),
        world.move("cancel", call),
        world.post(CALLS, {"wrong": 1}),
    ):
        assert refusal(answer) == (429, "rate_limited")
        assert int(answer.headers["Retry-After"]) > 0
    assert world.get(CALLS).status_code == 200
    other = world.make_application()
    assert refusal(world.move("cancel", call, by=other)) == NOT_YOURS
    settings.INVOCATION_RATE_LIMIT_PER_MIN = 0
    assert world.invoke(service)
