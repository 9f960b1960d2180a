"""Heartbeats: leases, their generations, and what rests and goes on with them (D18)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.models import AgentService, AgentSession
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import ADMIN, World, refusal

LIFECYCLE = "caracal.agents.lifecycle"
LAPSED = (409, "agent_lease_expired")
SUPERSEDED = (409, "agent_lease_superseded")
Made = dict[str, Any]


def service(world: World, parent: Made | None = None, **given: Any) -> Made:
    return world.spawn(parent, lifecycle="service", **given)


def lapse(*agents: Made) -> None:
    ids = [agent["agent_session_id"] for agent in agents]
    past = timezone.now() - timedelta(seconds=1)
    assert AgentSession.objects.filter(id__in=ids).update(heartbeat_deadline_at=past)


def statuses(world: World, *agents: Made) -> list[str]:
    return [world.agent(agent).status for agent in agents]


def beat(world: World, agent: Made, **body: Any) -> dict[str, Any]:
    answer = world.heartbeat(agent, body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["agent"])


def test_a_heartbeat_renews_the_lease_and_says_which_it_is(world: World) -> None:
    agent = service(world)
    lapsing = timezone.now() + timedelta(seconds=5)
    AgentSession.objects.filter(id=agent["agent_session_id"]).update(
        heartbeat_deadline_at=lapsing
    )
    answer = world.heartbeat(agent, {"status": "healthy"}).json()
    row = world.agent(agent)
    assert set(answer) == {"agent", "service", "active_invocations"}
    assert (answer["service"], answer["active_invocations"]) == (None, 0)
    assert set(answer["agent"]) == {
        "id", "zone_id", "application_id", "status", "generation", "last_active_at",
        "last_heartbeat_at", "heartbeat_deadline_at",
    }  # fmt: skip
    assert answer["agent"]["status"] == "active"
    assert answer["agent"]["generation"] == 1
    assert row.heartbeat_deadline_at - row.last_heartbeat_at == timedelta(seconds=120)
    assert row.last_active_at == row.last_heartbeat_at
    assert row.heartbeat_deadline_at > lapsing


def test_a_renewal_leaves_no_evidence_because_nothing_changes(
    world: World, events: Events
) -> None:
    agent = service(world)
    events.take()
    world.heartbeat(agent)
    left = events.take()
    assert (left.audit, left.outbox) == ([], [])


def test_a_task_has_no_lease_to_renew(world: World) -> None:
    task = beat(world, world.spawn())
    assert task["heartbeat_deadline_at"] is task["generation"] is None
    assert task["last_heartbeat_at"] == task["last_active_at"]


def test_a_lease_that_ran_out_is_told_once_and_taken_up_again(
    world: World, events: Events
) -> None:
    """One missed lease: the service learns of it, and comes back by itself (W34)."""
    agent = service(world)
    child = world.spawn(agent)
    lapse(agent)
    events.take()
    assert refusal(world.heartbeat(agent)) == LAPSED
    assert statuses(world, agent, child) == ["suspended"] * 2
    left = events.take()
    told = left.payloads(LIFECYCLE)
    assert [(news["event"], news["reason"]) for news in told] == [
        ("suspend", "service_heartbeat_lost")
    ] * 2
    assert left.audit[0].actor_name == "suspend-agent-services"
    back = beat(world, agent)
    assert (back["status"], back["generation"]) == ("active", 2)
    assert statuses(world, agent, child) == ["active"] * 2
    left = events.take()
    assert [news["event"] for news in left.payloads(LIFECYCLE)] == ["resume"] * 2
    assert left.audit[0].entity_id == agent["agent_session_id"]
    assert left.audit[0].payload_json["reason"] == "heartbeat"
    world.assert_sound()


def test_a_heartbeat_does_not_undo_what_somebody_asked_for(world: World) -> None:
    agent = service(world)
    world.suspend(agent)
    resting = beat(world, agent)
    assert (resting["status"], resting["generation"]) == ("suspended", 1)
    assert world.agent(agent).status == "suspended"
    world.resume(agent)
    assert beat(world, agent)["generation"] == 2


def test_suspending_what_has_lost_its_lease_keeps_it_at_rest(
    world: World, events: Events
) -> None:
    agent = service(world)
    lapse(agent)
    world.heartbeat(agent)
    events.take()
    assert world.suspend(agent).json() == {"suspended": 1}
    assert beat(world, agent)["status"] == "suspended"
    left = events.take()
    assert left.outbox == []
    assert left.audit[0].payload_json["event"] == "agent.kept_suspended"
    again = world.suspend(agent)
    assert refusal(again) == (409, "agent_not_found_or_not_active")
    world.resume(agent)
    assert beat(world, agent)["generation"] == 2


def test_what_rested_before_the_lease_ran_out_rests_on(world: World) -> None:
    agent = service(world)
    asked, below = world.spawn(agent), world.spawn(agent)
    world.suspend(asked)
    lapse(agent)
    world.heartbeat(agent)
    world.heartbeat(agent)
    assert statuses(world, agent, asked, below) == ["active", "suspended", "active"]
    world.assert_sound()


def test_a_service_below_goes_on_only_if_it_was_heard_from_itself(
    world: World,
) -> None:
    agent = service(world)
    heard, silent = service(world, agent), service(world, agent)
    below = world.spawn(silent)
    lapse(agent)
    world.heartbeat(agent)
    assert statuses(world, agent, heard, silent, below) == ["suspended"] * 4
    assert beat(world, heard)["status"] == "suspended", "nothing goes on below it"
    lapse(silent)
    beat(world, agent)
    assert statuses(world, agent, heard, silent, below) == [
        "active", "active", "suspended", "suspended",
    ]  # fmt: skip
    assert beat(world, silent)["status"] == "active"
    assert world.agent(below).status == "active"
    world.assert_sound()


def test_an_older_lease_is_refused_and_the_newer_goes_on(world: World) -> None:
    """A process that slept through its lease, while another one took over."""
    agent = service(world)
    assert beat(world, agent, generation=1)["generation"] == 1
    lapse(agent)
    world.heartbeat(agent)
    assert beat(world, agent, generation=1)["generation"] == 2, "it takes it up itself"
    before = world.agent(agent).last_heartbeat_at
    assert refusal(world.heartbeat(agent, {"generation": 1})) == SUPERSEDED
    assert refusal(world.heartbeat(agent, {"generation": 3})) == SUPERSEDED
    assert world.agent(agent).last_heartbeat_at == before
    assert beat(world, agent, generation=2)["generation"] == 2


def test_a_stale_generation_does_not_suspend_the_service(world: World) -> None:
    agent = service(world)
    lapse(agent)
    assert refusal(world.heartbeat(agent, {"generation": 7})) == SUPERSEDED
    assert world.agent(agent).status == "active"


def test_an_agent_that_ended_or_whose_time_is_over_is_not_live(world: World) -> None:
    ended, over = world.spawn(), world.spawn()
    world.terminate(ended)
    past = timezone.now() - timedelta(seconds=1)
    AgentSession.objects.filter(id=over["agent_session_id"]).update(expires_at=past)
    for agent in (ended, over):
        assert refusal(world.heartbeat(agent)) == (409, "agent_not_live")


def test_a_heartbeat_reports_on_its_service(world: World) -> None:
    agent = service(world)
    record = world.register()
    world.heartbeat(agent, {"service_id": record["id"], "metadata": {"a": 1, "b": 2}})
    body = {
        "service_id": record["id"],
        "status": "degraded",
        "active_invocations": 3,
        "metadata": {"b": None, "c": {"d": None}},
    }
    answer = world.heartbeat(agent, body).json()
    assert answer["active_invocations"] == 3
    assert answer["service"]["health"] == "degraded"
    # A member that is null is dropped, so that metadata need not only grow (W36).
    assert answer["service"]["metadata_json"] == {"a": 1, "c": {"d": None}}
    assert answer["service"] == world.get(f"/agent-services/{record['id']}").json()
    row = world.service(record)
    assert row.active_invocations == 3
    assert row.lease_expires_at - row.last_heartbeat_at == timedelta(seconds=120)


def test_heartbeats_do_not_make_a_record_grow_without_end(world: World) -> None:
    agent, record = service(world), world.register()

    def said(**metadata: Any) -> Any:
        return world.heartbeat(
            agent, {"service_id": record["id"], "metadata": metadata}
        )

    assert said(a="x" * 40_000).status_code == 200
    before = world.agent(agent).last_heartbeat_at
    answer = said(b="x" * 40_000)
    assert refusal(answer) == (400, "invalid_body")
    assert answer.json()["details"]["issues"][0]["path"] == ["metadata"]
    assert world.agent(agent).last_heartbeat_at == before
    assert said(a=None, b="x" * 40_000).status_code == 200
    assert set(world.service(record).metadata_json) == {"b"}


def test_a_record_registered_large_is_still_heard_from(world: World) -> None:
    agent = service(world)
    body = {
        "application_id": world.application.id,
        "endpoint_url": "https://large.example.com/",
        "metadata": {"a": "x" * 100_000},
    }
    record = world.post("/agent-services", body).json()
    for metadata, status in (({}, 200), ({"a": 1}, 200), ({"b": "x" * 90_000}, 400)):
        said = {"service_id": record["id"], "metadata": metadata}
        assert world.heartbeat(agent, said).status_code == status


def test_a_service_that_is_not_the_agents_undoes_the_heartbeat(world: World) -> None:
    agent, other = service(world), world.make_application()
    theirs = world.register(by=other)
    gone = world.register("https://gone.example.com/")
    world.delete(f"/agent-services/{gone['id']}")
    before = world.agent(agent).last_heartbeat_at
    for id_ in ("nope", theirs["id"], gone["id"]):
        answer = world.heartbeat(agent, {"service_id": id_})
        assert refusal(answer) == (404, "agent_service_not_found")
    assert world.agent(agent).last_heartbeat_at == before
    assert AgentService.objects.get(id=theirs["id"]).health == "starting"


@pytest.mark.parametrize("lapsed", [False, True])
def test_only_who_may_manage_an_agent_beats_for_it(world: World, lapsed: bool) -> None:
    other = world.make_application()
    agent = service(world)
    leave = f"coordinator.spawn_for:{world.application.id}"
    if lapsed:
        lapse(agent)
        assert refusal(world.heartbeat(agent)) == LAPSED
    answer = world.heartbeat(agent, by=other)
    assert refusal(answer) == (403, "application_ownership_required")
    for scope in (leave, ADMIN):
        assert world.heartbeat(agent, by=other, scopes=(scope,)).status_code == 200


def test_a_bound_token_beats_for_itself_and_what_is_below(world: World) -> None:
    root = service(world)
    agent = service(world, root)
    below = world.spawn(agent)
    bound = world.token(agent_session_id=agent["agent_session_id"])
    for each in (agent, below):
        assert world.heartbeat(each, token=bound).status_code == 200
    outside = (403, "outside_agent_subtree")
    assert refusal(world.heartbeat(root, token=bound)) == outside
    # A bound agent whose lease ran out comes back by its own heartbeat, too.
    lapse(agent)
    assert refusal(world.heartbeat(agent, token=bound)) == LAPSED
    assert refusal(world.heartbeat(below, token=bound)) == (401, "identity_revoked")
    assert world.heartbeat(agent, token=bound).json()["agent"]["generation"] == 2
    assert world.heartbeat(below, token=bound).status_code == 200


def test_an_agent_of_another_zone_does_not_exist(world: World) -> None:
    for id_ in ("nope", world.application.id):
        answer = world.heartbeat({"agent_session_id": id_})
        assert refusal(answer) == (404, "agent_not_found")


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"status": "odd"}, "status"),
        ({"status": None}, "status"),
        ({"active_invocations": -1}, "active_invocations"),
        ({"active_invocations": True}, "active_invocations"),
        ({"active_invocations": 2**31}, "active_invocations"),
        ({"generation": 0}, "generation"),
        ({"generation": "1"}, "generation"),
        ({"service_id": ""}, "service_id"),
        ({"metadata": []}, "metadata"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_wrong_heartbeat_is_refused(world: World, body: Any, member: str) -> None:
    answer = world.heartbeat(world.spawn(), body)
    assert refusal(answer) == (400, "invalid_body")
    assert answer.json()["details"]["issues"][0]["path"] == [member]


def test_a_heartbeat_needs_a_body(world: World) -> None:
    agent = world.spawn()
    path = f"/agents/{agent['agent_session_id']}/heartbeat"
    assert refusal(world.post(path)) == (400, "invalid_body")


def test_a_keyed_heartbeat_is_answered_again(world: World) -> None:
    agent = service(world)
    headers = {"Idempotency-Key": "beat"}
    first = world.heartbeat(agent, headers=headers)
    again = world.heartbeat(agent, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_keyed_heartbeat_past_the_lease_suspends_as_well(world: World) -> None:
    """The refusal takes back the receipt of the key, and nothing but that."""
    agent = service(world)
    lapse(agent)
    headers = {"Idempotency-Key": "late"}
    assert refusal(world.heartbeat(agent, headers=headers)) == LAPSED
    assert statuses(world, agent) == ["suspended"]
    assert world.heartbeat(agent, headers=headers).json()["agent"]["generation"] == 2
    world.assert_sound()
