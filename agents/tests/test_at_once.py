"""Eight callers do everything at once; afterwards the zone is as it must be.

What each was told is held against what there is: nobody was told of a change that is
not there, nothing happened twice, nothing without evidence.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import Settings

from agents.models import AgentSession
from agents.tasks import end_unseen_services, suspend_agent_services
from audit import publisher, streams
from audit.models import AdminAuditEvent, OutboxEvent
from audit.tests.factories import entries
from caracal_site import stores
from caracal_site.ids import new_id
from caracal_site.testing.world import ADMIN, World
from delegations.models import DelegationEdge
from tokens.tests.factories import Client

CALLERS, PUBLISHERS = 8, 2
SECONDS = 10.0
ZONE_CAP, APPLICATION_CAP, CHILDREN, DEPTH = 40, 30, 4, 5
LIFECYCLE = "caracal.agents.lifecycle"
INVALIDATE = "caracal.delegations.invalidate"
REVOKE = "caracal.sessions.revoke"
CALLS = "caracal.invocations.lifecycle"
Made = dict[str, Any]
# What each verb may be answered, whatever the others did meanwhile.
FITTING = {
    "spawn": {201, 403, 404, 409, 429},
    "delegate": {201, 403, 404, 409},
    "suspend": {200, 404, 409},
    "resume": {200, 404, 409},
    "terminate": {204, 404, 409},
    "revoke": {200, 404, 409},
    "heartbeat": {200, 409},
    "invoke": {201, 404},
    "move": {200, 409},
}
WEIGHTS = {
    "spawn": 9,
    "delegate": 5,
    "suspend": 3,
    "resume": 3,
    "terminate": 2,
    "revoke": 2,
    "heartbeat": 5,
    "invoke": 4,
    "move": 5,
}
# So short that leases run out under way, and some services are never heard from again.
LEASE_SECONDS, UNSEEN_SECONDS = 1, 4
SERVICES = 0.4


@dataclass
class Told:
    """What one request was answered."""

    verb: str
    request_id: str
    response: httpx.Response

    @property
    def is_change(self) -> bool:
        return self.response.status_code < 300

    @property
    def count(self) -> int:
        """How many agents it says it suspended or resumed."""
        return int(self.response.json()[f"{self.verb.removesuffix('e')}ed"])


@dataclass
class Scene:
    """The zone, who acts in it, and what they know of."""

    world: World
    clients: list[Client]
    tokens: dict[str, str] = field(init=False)
    agents: list[Made] = field(default_factory=list)
    edges: list[Made] = field(default_factory=list)
    calls: list[Made] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.service = self.world.register()
        # The callers themselves need no database.
        leave = self._leave()
        self.tokens = {
            client.id: self.world.token(client, ADMIN, *leave)
            for client in self.clients
        }

    def act(self, chance: random.Random) -> Told:
        verb = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        known = {"revoke": self.edges, "move": self.calls}.get(verb, [None])
        if len(self.agents) < 2 or not known:
            verb = "spawn"
        request_id = new_id()
        by = chance.choice(self.clients)
        given = {
            "headers": {"X-Request-ID": request_id},
            "by": by,
            "token": self.tokens[by.id],
        }
        response = getattr(self, f"_{verb}")(chance, given)
        assert response.status_code in FITTING[verb], (verb, response.text)
        return Told(verb, request_id, response)

    def _leave(self) -> list[str]:
        """Every application may act for, under and with the others."""
        return [
            f"coordinator.{what}:{client.id}"
            for client in self.clients
            for what in ("spawn_for", "spawn_under", "delegate_from", "delegate_to")
        ]

    def _any(self, chance: random.Random, made: list[Made]) -> Made:
        # Mostly one of the last, which others work on as well.
        return chance.choice(made[-12:] if chance.random() < 0.8 else made)

    def _spawn(self, chance: random.Random, given: dict[str, Any]) -> httpx.Response:
        parent = (
            self._any(chance, self.agents)
            if self.agents and chance.random() < 0.8
            else None
        )
        by = given["by"]
        lifecycle = "service" if chance.random() < SERVICES else "task"
        body = self.world.spawn_body(parent, by=by, lifecycle=lifecycle)
        response = self.world.post("/agents", body, **given)
        if response.status_code == 201:
            self.agents.append(response.json())
        return response

    def _delegate(self, chance: random.Random, given: dict[str, Any]) -> httpx.Response:
        source, target = chance.sample(self.agents[-12:], 2)
        body = self.world.delegation_body(
            source,
            target,
            resource_id=None,
            scopes=[],
            constraints={"max_hops": chance.randrange(1, 6)},
        )
        response = self.world.post("/delegations", body, **given)
        if response.status_code == 201:
            self.edges.append(response.json())
        return response

    def _suspend(self, chance: random.Random, given: dict[str, Any]) -> httpx.Response:
        return self.world.suspend(self._any(chance, self.agents), **given)

    def _resume(self, chance: random.Random, given: dict[str, Any]) -> httpx.Response:
        return self.world.resume(self._any(chance, self.agents), **given)

    def _terminate(
        self, chance: random.Random, given: dict[str, Any]
    ) -> httpx.Response:
        return self.world.terminate(self._any(chance, self.agents), **given)

    def _heartbeat(
        self, chance: random.Random, given: dict[str, Any]
    ) -> httpx.Response:
        return self.world.heartbeat(self._any(chance, self.agents), **given)

    def _invoke(self, chance: random.Random, given: dict[str, Any]) -> httpx.Response:
        source, target = (self._any(chance, self.agents) for _ in range(2))
        body = self.world.call_body(
            self.service,
            source_session_id=source["agent_session_id"],
            target_session_id=target["agent_session_id"],
            retry_policy={"max_attempts": 2, "backoff_ms": 0},
        )
        response = self.world.post("/invocations", body, **given)
        if response.status_code == 201:
            self.calls.append(response.json())
        return response

    def _move(self, chance: random.Random, given: dict[str, Any]) -> httpx.Response:
        verb = chance.choice(["start", "start", "cancel", "complete"])
        status = chance.choice(["succeeded", "failed", "canceled"])
        body = {"status": status} if verb == "complete" else None
        return self.world.move(verb, self._any(chance, self.calls), body, **given)

    def _revoke(self, chance: random.Random, given: dict[str, Any]) -> httpx.Response:
        return self.world.revoke(self._any(chance, self.edges), **given)


def keep_publishing(until: float) -> None:
    """What a worker does meanwhile, several of them at once."""
    try:
        while time.monotonic() < until:
            publisher.publish(stores.redis_client())
    finally:
        connection.close()


def follow(scene: Scene, after: int, until: float = 0) -> list[tuple[int, str]]:
    """Number and id of every event, as one reader of the change feed gets them."""
    told: list[tuple[int, str]] = []
    while True:
        is_over = time.monotonic() > until
        query = f"/events?after={after}&wait={0 if is_over else 1}"
        answer = scene.world.get(query, token=settings.CARACAL_COORDINATOR_TOKEN)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        told += [(e["zone_seq"], e["entry"]["outbox_id"]) for e in page["items"]]
        after = page["next_after"]
        if is_over and not page["items"]:
            return told


def run(scene: Scene, seed: int) -> tuple[list[Told], list[tuple[int, str]]]:
    """Lets everybody act until the time is up, while two publishers and a reader of
    the feed are at work; meanwhile looks after the leases, and watches the caps. What
    was told, and what was read."""
    until = time.monotonic() + SECONDS

    def act(number: int) -> list[Told]:
        chance = random.Random(f"{seed}/{number}")  # noqa: S311
        told = []
        while time.monotonic() < until:
            told.append(scene.act(chance))
        return told

    with ThreadPoolExecutor(CALLERS + PUBLISHERS + 1) as pool:
        callers = [pool.submit(act, number) for number in range(CALLERS)]
        publishers = [pool.submit(keep_publishing, until) for _ in range(PUBLISHERS)]
        follower = pool.submit(follow, scene, 0, until)
        while time.monotonic() < until:
            assert_within_caps(scene)
            for job in (suspend_agent_services, end_unseen_services):
                assert job().error == ""
        for publishing in publishers:
            publishing.result()
        told = [one for caller in callers for one in caller.result()]
        return told, follower.result()


def assert_within_caps(scene: Scene) -> None:
    live = AgentSession.objects.in_zone(scene.world.zone.id).live()
    rows = list(live.values_list("application_id", "parent_id", "depth"))
    assert len(rows) <= ZONE_CAP
    assert max(Counter(row[0] for row in rows).values(), default=0) <= APPLICATION_CAP
    parents = Counter(row[1] for row in rows if row[1])
    assert max(parents.values(), default=0) <= CHILDREN
    assert max((row[2] for row in rows), default=0) <= DEPTH


@pytest.fixture
def scene(world: World, settings: Settings) -> Scene:
    settings.MAX_AGENTS_PER_ZONE = ZONE_CAP
    settings.MAX_AGENTS_PER_APP = APPLICATION_CAP
    settings.MAX_CHILDREN, settings.MAX_DEPTH = CHILDREN, DEPTH
    settings.COORDINATOR_RATE_LIMIT_PER_MIN = 0
    settings.INVOCATION_RATE_LIMIT_PER_MIN = 0
    settings.SERVICE_AGENT_LEASE_SECONDS = LEASE_SECONDS
    settings.SERVICE_UNSEEN_SECONDS = UNSEEN_SECONDS
    return Scene(world, [world.application, world.make_application()])


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once_leaves_a_sound_zone_and_whole_evidence(
    scene: Scene, seed: int
) -> None:
    told, read = run(scene, seed)
    done = Counter(one.verb for one in told if one.is_change)
    assert set(done) == set(FITTING), done
    assert leases_lost(scene) > 0
    assert_within_caps(scene)
    scene.world.assert_sound()
    assert_recorded(scene, told)
    assert_published(scene)
    assert_read(scene, read)


def leases_lost(scene: Scene) -> int:
    """How many suspensions were of agents that were not heard from."""
    news = OutboxEvent.objects.filter(zone_id=scene.world.zone.id, topic=LIFECYCLE)
    return news.filter(
        payload_json__event="suspend", payload_json__reason="service_heartbeat_lost"
    ).count()


def assert_recorded(scene: Scene, told: list[Told]) -> None:
    """Each change has one audit row and its news, under the id of its request."""
    zone_id = scene.world.zone.id
    audit = Counter(
        AdminAuditEvent.objects.in_zone(zone_id)
        .filter(status_code__lt=300)
        .values_list("request_id", flat=True)
    )
    news: dict[str, Counter[tuple[str, str | None]]] = {}
    for row in OutboxEvent.objects.filter(zone_id=zone_id):
        of = news.setdefault(row.request_id, Counter())
        of[row.topic, row.payload_json.get("event")] += 1
    kept = set(
        AdminAuditEvent.objects.in_zone(zone_id)
        .filter(payload_json__event="agent.kept_suspended")
        .values_list("request_id", flat=True)
    )
    changes = [one for one in told if one.is_change]
    for one in changes:
        found = news.pop(one.request_id, Counter())
        if one.verb in ("terminate", "heartbeat") and not found:
            # It had ended before, or its lease held: no news, no row.
            assert audit[one.request_id] == 0
            continue
        assert audit[one.request_id] == 1, one
        if one.request_id in kept:
            # It rested already: nothing to tell.
            assert (one.verb, one.count, found) == ("suspend", 1, Counter())
            continue
        assert_told_whole(one, found)
    refused = {one.request_id for one in told if not one.is_change}
    for request_id in lapsed_in(told) & news.keys():
        # The first to be told that the lease ran out is the one that suspends.
        assert news.pop(request_id).keys() == {(LIFECYCLE, "suspend")}
        assert audit.pop(request_id) == 1
    assert not refused & (news.keys() | audit.keys())


def lapsed_in(told: list[Told]) -> set[str]:
    """The requests that were told that the lease of the agent ran out."""
    return {
        one.request_id
        for one in told
        if one.verb == "heartbeat" and not one.is_change
        if one.response.json()["error"] == "agent_lease_expired"
    }


def assert_told_whole(one: Told, found: Counter[tuple[str, str | None]]) -> None:
    if one.verb == "spawn":
        assert found.pop((LIFECYCLE, "spawn")) == 1
        mirrored = one.response.json()["delegation_edge_id"] is not None
        assert found.pop((INVALIDATE, "edge_create"), 0) == mirrored
        assert not found
    elif one.verb == "delegate":
        assert found == {(INVALIDATE, "edge_create"): 1}
    elif one.verb in ("suspend", "resume"):
        assert found == {(LIFECYCLE, one.verb): one.count}
    elif one.verb in ("invoke", "move"):
        # What cancels a call that waits tells that it was asked for as well.
        assert {topic for topic, _ in found} == {CALLS}
        assert max(found.values()) == 1
    elif one.verb == "heartbeat":
        assert one.response.json()["agent"]["status"] == "active"
        assert found.keys() == {(LIFECYCLE, "resume")}
    elif one.verb == "terminate":
        assert found[LIFECYCLE, "terminate"] >= 1
    else:
        ended = one.response.json()["terminated_agents"]
        assert found[LIFECYCLE, "terminate"] == ended


def assert_published(scene: Scene) -> None:
    """Everything is in the streams once, densely numbered, as the rows say."""
    client, zone_id = stores.redis_client(), scene.world.zone.id
    publisher.publish(client, seconds=60)
    rows = OutboxEvent.objects.filter(zone_id=zone_id)
    assert not rows.pending().exists()
    found = [
        (topic, entry)
        for topic in (LIFECYCLE, INVALIDATE, REVOKE, CALLS)
        for entry in entries(client, topic)
        if entry["zone_id"] == zone_id
    ]
    numbers = sorted(int(entry["zone_seq"]) for _, entry in found)
    assert numbers == list(range(1, rows.count() + 1))
    assert {entry["outbox_id"] for _, entry in found} == set(
        rows.values_list("id", flat=True)
    )
    assert len({entry["dedupe_key"] for _, entry in found}) == len(found)
    key = bytes.fromhex(settings.STREAMS_HMAC_KEY)
    assert all(streams.verify(topic, entry, key) for topic, entry in found)
    assert_turns_alternate(found)
    live = DelegationEdge.objects.in_zone(zone_id).filter(status="active")
    begun = {e["edge_id"] for t, e in found if e.get("event") == "edge_create"}
    assert {edge.id for edge in live} <= begun


def assert_read(scene: Scene, read: list[tuple[int, str]]) -> None:
    """The feed told its reader everything once, in order, while it happened."""
    assert read
    read += follow(scene, after=read[-1][0])
    rows = OutboxEvent.objects.filter(zone_id=scene.world.zone.id)
    assert read == list(rows.order_by("zone_seq").values_list("zone_seq", "id"))


def assert_turns_alternate(found: list[tuple[str, dict[str, str]]]) -> None:
    """In the order of the stream each agent begins, rests and goes on by turns, and
    ends at last: a follower of the news knows what each of them is now."""
    told: dict[str, list[str]] = {}
    ordered = sorted((int(e["zone_seq"]), e) for t, e in found if t == LIFECYCLE)
    for _, entry in ordered:
        told.setdefault(entry["agent_session_id"], []).append(entry["event"])
    states = {
        "suspend": "suspended",
        "spawn": "active",
        "resume": "active",
        "terminate": "terminated",
    }
    following = {
        "spawn": {"suspend", "terminate"},
        "suspend": {"resume", "terminate"},
        "resume": {"suspend", "terminate"},
        "terminate": set[str](),
    }
    now = dict(AgentSession.objects.filter(id__in=told).values_list("id", "status"))
    for agent, events in told.items():
        assert events[0] == "spawn", events
        for one, next_one in pairwise(events):
            assert next_one in following[one], events
        assert states[events[-1]] == now[agent]
