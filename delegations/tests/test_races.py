"""Delegations under concurrent hands: no circle, nothing below what was revoked."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from django.db import transaction

from agents.models import AgentSession
from agents.services import expire_due_agents
from caracal_site import locks
from caracal_site.testing.races import Threads, held, wait_for
from caracal_site.testing.world import World, refusal
from delegations.models import DelegationEdge
from delegations.services import expire_due_edges

ROUNDS = range(10)
HOPS: dict[str, Any] = {"constraints": {"max_hops": 5}}
BELOW: dict[str, Any] = {"constraints": {"max_hops": 4}}


def rows(*agents: dict[str, Any]) -> Any:
    return AgentSession.objects.filter(id__in=[a["agent_session_id"] for a in agents])


def test_two_edges_do_not_close_a_circle_of_two(world: World) -> None:
    for _ in ROUNDS:
        a, b = world.spawn(), world.spawn()
        found = world.at_once(
            world.start_delegation(a, b, **HOPS), world.start_delegation(b, a, **HOPS)
        )
        assert sorted(found) in ([201, 403], [201, 409])
        world.assert_sound()


def test_two_edges_do_not_close_a_circle_of_three(world: World) -> None:
    for _ in ROUNDS:
        a, b, c = world.spawn(), world.spawn(), world.spawn()
        world.delegate(a, b, **HOPS)
        found = world.at_once(
            world.start_delegation(b, c, **BELOW), world.start_delegation(c, a, **HOPS)
        )
        assert found.count(201) == 1, found
        world.assert_sound()


def test_two_edges_do_not_close_a_circle_of_four(world: World) -> None:
    """They share no agent, so only the lock of the zone's graph keeps them apart."""
    for round_ in ROUNDS:
        a, b, c, d = (world.spawn() for _ in range(4))
        first, second = world.delegate(a, b, **HOPS), world.delegate(c, d, **HOPS)
        pair = [
            lambda b=b, c=c: world.start_delegation(b, c, **BELOW),
            lambda d=d, a=a: world.start_delegation(d, a, **BELOW),
        ]
        random.Random(round_).shuffle(pair)  # noqa: S311
        answers = world.coordinator.at_once(*[start() for start in pair])
        refused = [answer for answer in answers if answer.status_code != 201]
        assert len(refused) == 1
        assert refusal(refused[0]) == (409, "delegation_cycle_denied")
        assert world.edge(first).status == world.edge(second).status == "active"
        world.assert_sound()


def test_only_an_edge_that_could_close_a_circle_waits_for_the_graph(
    world: World,
) -> None:
    """W41: one lock per zone was held over every delegation."""
    top, middle, leaf, other, onward = (world.spawn() for _ in range(5))
    world.delegate(top, middle, **HOPS)
    world.delegate(other, onward, **BELOW)
    with transaction.atomic():
        locks.lock(locks.LockClass.DELEGATION_GRAPH, world.zone.id)
        world.delegate(middle, leaf, **BELOW)
        waiting = world.start_delegation(middle, other, **BELOW)
        wait_for(1)
    assert waiting.result().status_code == 201
    world.assert_sound()


def test_no_edge_is_made_below_one_being_revoked(world: World) -> None:
    for _ in ROUNDS:
        a, b, c = world.spawn(), world.spawn(), world.spawn()
        edge = world.delegate(a, b, **HOPS)
        starts: list[Callable[[], Future[httpx.Response]]] = [
            lambda b=b, c=c: world.start_delegation(b, c, **BELOW),
            lambda edge=edge: world.start_revocation(edge),
            lambda b=b, c=c: world.start_delegation(b, c, **BELOW),
        ]
        found = world.at_once(*[start() for start in starts])
        assert found[1] == 200
        world.assert_sound()
        assert world.agent(b).status == "terminated"


@pytest.mark.parametrize("revoke_first", [True, False])
def test_a_delegation_and_the_revocation_of_its_parent_take_turns(
    world: World, revoke_first: bool
) -> None:
    other = world.make_application()
    a, b, c = world.spawn(), world.spawn(by=other), world.spawn(by=other)
    edge = world.delegate(a, b, **HOPS)
    body = world.delegation_body(b, c, constraints={"max_hops": 4})
    parent = DelegationEdge.objects.filter(id=edge["delegation_edge_id"])
    starts: list[Callable[[], Future[httpx.Response]]] = [
        lambda: world.start("POST", "/delegations", body, by=other),
        lambda: world.start_revocation(edge),
    ]
    begun = []
    with held(parent) as wait_for:
        for number, start in enumerate(starts[::-1] if revoke_first else starts, 1):
            begun.append(start())
            wait_for(number)
    statuses = world.at_once(*begun)
    assert statuses[0 if revoke_first else 1] == 200
    assert statuses[1 if revoke_first else 0] == (403 if revoke_first else 201)
    assert not DelegationEdge.objects.in_zone(world.zone.id).active().exists()
    world.assert_sound()


def test_a_delegation_and_the_end_of_either_end(world: World) -> None:
    for round_ in ROUNDS:
        a, b = world.spawn(), world.spawn()
        ended = (a, b)[round_ % 2]
        found = world.at_once(
            world.start_delegation(a, b, **HOPS),
            world.start_turn("terminate", ended),
            world.start_delegation(a, b, **HOPS),
        )
        assert found[1] in (204, 409)
        world.assert_sound()


def test_both_sides_of_a_diamond_revoked_together(world: World) -> None:
    for _ in ROUNDS:
        x, y, b = world.spawn(), world.spawn(), world.spawn()
        left, right = world.delegate(x, b, **HOPS), world.delegate(y, b, **HOPS)
        below = world.spawn(b, inherit_parent_edge_id=right["delegation_edge_id"])
        found = world.at_once(
            world.start_revocation(left), world.start_revocation(right)
        )
        assert set(found) == {200}
        assert [world.agent(agent).status for agent in (b, below)] == ["terminated"] * 2
        world.assert_sound()


def test_one_edge_is_revoked_once(world: World) -> None:
    for _ in ROUNDS:
        edge = world.delegate(world.spawn(), world.spawn())
        found = Counter(
            world.at_once(*(world.start_revocation(edge) for _ in range(5)))
        )
        assert found[200] == 1
        assert found[200] + found[404] + found[409] == 5
        assert world.edge(edge).edge_version == 1


def test_a_spawn_under_an_agent_just_being_narrowed_is_not_confused(
    world: World,
) -> None:
    """Either it came before the narrowing, or its child is narrowed as well."""
    for _ in ROUNDS:
        a, b = world.spawn(), world.spawn()
        with held(rows(b)) as wait_for:
            narrowing = world.start_delegation(a, b, **HOPS)
            wait_for(1)
            spawning = world.start_spawn(b)
            wait_for(2)
        answers = world.coordinator.at_once(narrowing, spawning)
        assert [answer.status_code for answer in answers] == [201, 201], answers[1].text
        child = answers[1].json()
        assert child["delegation_edge_id"] is not None
        assert world.agent(child).narrowed
        world.assert_sound()


def test_a_delegation_from_an_agent_just_being_narrowed_is_not_confused(
    world: World,
) -> None:
    for _ in ROUNDS:
        a, b, c = world.spawn(), world.spawn(), world.spawn()
        with held(rows(b)) as wait_for:
            narrowing = world.start_delegation(a, b, **HOPS)
            wait_for(1)
            onward = world.start_delegation(b, c)
            wait_for(2)
        answers = world.coordinator.at_once(narrowing, onward)
        assert [answer.status_code for answer in answers] == [201, 201], answers[1].text
        edge, below = (answer.json() for answer in answers)
        assert below["parent_edge_id"] == edge["delegation_edge_id"]
        world.assert_sound()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_at_once_the_zone_stays_sound(world: World, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    root = world.spawn()
    agents = [
        root,
        *(world.spawn(root) for _ in range(2)),
        world.spawn(),
        world.spawn(),
    ]
    agents.append(world.spawn(agents[1]))
    edges = [world.delegate(agents[3], agents[4], **HOPS)]

    def anything() -> Future[httpx.Response]:
        agent, other = dice.sample(agents, 2)
        match dice.randrange(8):
            case 0 | 1:
                return world.start_spawn(agent)
            case 2 | 3 | 4:
                hops = {"constraints": {"max_hops": dice.randint(1, 5)}}
                return world.start_delegation(agent, other, **hops)
            case 5:
                return world.start_revocation(dice.choice(edges))
            case 6:
                return world.start_turn(dice.choice(["suspend", "resume"]), agent)
            case _:
                return world.start_turn("terminate", agent)

    with Threads(1) as threads:
        for _ in range(6):
            swept = threads.start(lambda: (expire_due_agents(), expire_due_edges()))
            answers = world.coordinator.at_once(*[anything() for _ in range(10)])
            swept.result()
            statuses = Counter(answer.status_code for answer in answers)
            assert max(statuses) < 500, statuses
            for answer in answers:
                made = answer.json() if answer.status_code == 201 else {}
                if "agent_session_id" in made:
                    agents.append(made)
                elif made:
                    edges.append(made)
            world.assert_sound()
