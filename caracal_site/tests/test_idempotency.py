"""``Idempotency-Key``: a repeat gets the first answer again (D7)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from agents.models import AgentSession
from audit.models import AdminAuditEvent
from caracal_site.models import Receipt
from caracal_site.testing.world import World, refusal
from delegations.models import DelegationEdge
from tokens.models import Session


def keyed(key: str, **more: str) -> dict[str, str]:
    return {"Idempotency-Key": key, **more}


def agents(world: World) -> int:
    return AgentSession.objects.in_zone(world.zone.id).count()


def test_a_repeat_is_answered_as_the_first_was_and_does_nothing(world: World) -> None:
    first = world.try_spawn(headers=keyed("k1"), metadata={"a": 1})
    again = world.try_spawn(headers=keyed("  k1 "), metadata={"a": 1})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert agents(world) == 1
    audit = AdminAuditEvent.objects.filter(zone_id=world.zone.id, entity_type="agents")
    assert audit.count() == 1


def test_a_blank_key_is_none(world: World) -> None:
    for _ in range(2):
        assert world.try_spawn(headers=keyed("  ")).status_code == 201
    assert agents(world) == 2


@pytest.mark.parametrize("key", ["x" * 256, b"\xe9", "a\tb"])
def test_a_key_is_short_printable_ascii(world: World, key: Any) -> None:
    answer = world.try_spawn(headers=keyed(key))
    assert refusal(answer) == (400, "invalid_idempotency_key")
    assert world.try_spawn(headers=keyed("x" * 255)).status_code == 201


def test_another_body_under_the_same_key_is_a_conflict(world: World) -> None:
    world.try_spawn(headers=keyed("k"), labels=["a"])
    conflict = world.try_spawn(headers=keyed("k"), labels=["b"])
    assert refusal(conflict) == (409, "idempotency_key_conflict")
    assert agents(world) == 1


def test_the_same_body_written_otherwise_is_the_same(world: World) -> None:
    body = {"application_id": world.application.id, "labels": ["a"], "ttl_seconds": 60}
    first = world.post("/agents", body, headers=keyed("k"))
    turned = json.dumps(dict(reversed(body.items())), indent=2)
    again = world.post(
        "/agents",
        content=turned,
        headers=keyed("k", **{"Content-Type": "application/json"}),
    )
    assert again.content == first.content


def test_a_key_belongs_to_its_caller_and_its_route(world: World) -> None:
    other = world.make_application()
    mine = world.try_spawn(headers=keyed("k"))
    theirs = world.try_spawn(by=other, headers=keyed("k"))
    assert mine.json()["agent_session_id"] != theirs.json()["agent_session_id"]
    a, b = mine.json(), world.spawn()
    edge = world.try_delegate(a, b, headers=keyed("k"))
    assert edge.status_code == 201
    again = world.try_delegate(a, b, headers=keyed("k"))
    assert again.content == edge.content
    assert DelegationEdge.objects.in_zone(world.zone.id).count() == 1


def test_a_key_outlives_what_it_made(world: World) -> None:
    first = world.try_spawn(headers=keyed("k"))
    world.terminate(first.json())
    again = world.try_spawn(headers=keyed("k"))
    assert again.json() == first.json()
    assert agents(world) == 1


def test_a_refused_request_leaves_its_key_free(world: World) -> None:
    refused = world.try_spawn(headers=keyed("k"), subject_session_id="nothing")
    assert refused.status_code == 404
    assert world.try_spawn(headers=keyed("k")).status_code == 201


def test_twelve_at_once_make_one(world: World) -> None:
    for round_ in range(5):
        starts = [
            world.start(
                "POST", "/agents", world.spawn_body(), headers=keyed(f"k{round_}")
            )
            for _ in range(12)
        ]
        answers = world.coordinator.at_once(*starts)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        replayed = Counter(
            "Idempotency-Replayed" in answer.headers for answer in answers
        )
        assert replayed == {False: 1, True: 11}
        assert agents(world) == round_ + 1


def test_two_bodies_at_once_under_one_key_are_one_and_a_conflict(world: World) -> None:
    for round_ in range(5):
        bodies = [world.spawn_body(labels=[label]) for label in ("a", "b")]
        starts = [
            world.start("POST", "/agents", body, headers=keyed(f"k{round_}"))
            for body in bodies
        ]
        assert sorted(world.at_once(*starts)) == [201, 409]


def test_a_narrowed_child_is_made_once_as_well(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    world.delegate(a, b, constraints={"max_hops": 3})
    body = world.spawn_body(b)
    starts = [
        world.start("POST", "/agents", body, headers=keyed("k")) for _ in range(6)
    ]
    answers = world.coordinator.at_once(*starts)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["delegation_edge_id"] for answer in answers}) == 1
    world.assert_sound()


def test_who_is_no_longer_in_force_is_told_so_and_nothing_else(world: World) -> None:
    world.try_spawn(headers=keyed("k"))
    Session.objects.filter(id=world.session().id).update(status="revoked")
    for labels in ([], ["other body"]):
        again = world.try_spawn(headers=keyed("k"), labels=labels)
        assert refusal(again) == (401, "identity_revoked")


def test_a_receipt_does_not_show_what_it_keeps(world: World) -> None:
    agent = world.try_spawn(headers=keyed("k"), metadata={"secret": "hunter2"}).json()
    kept = Receipt.objects.get(caller__contains=world.application.id)
    sealed = bytes.fromhex(kept.body)
    assert b"hunter2" not in sealed
    assert agent["agent_session_id"].encode() not in sealed
    assert kept.status == 201


def test_a_full_zone_is_no_reason_to_remember(world: World, settings: Any) -> None:
    settings.MAX_AGENTS_PER_ZONE = 1
    first = world.spawn()
    assert world.try_spawn(headers=keyed("k")).status_code == 429
    world.terminate(first)
    assert world.try_spawn(headers=keyed("k")).status_code == 201
    assert world.room_taken() == 1
