"""Agents under concurrent hands: nothing comes back, nothing slips through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from itertools import permutations
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from agents.models import AgentSession
from agents.services import expire_due_agents
from caracal_site import actors
from caracal_site.testing.races import Threads, held, wait_for
from caracal_site.testing.world import World
from delegations.models import DelegationEdge
from zones import services
from zones.models import Zone

ROUNDS = range(10)


def rows(*agents: dict[str, Any]) -> Any:
    return AgentSession.objects.filter(id__in=[a["agent_session_id"] for a in agents])


@pytest.mark.parametrize("verb", ["suspend", "terminate"])
@pytest.mark.parametrize("spawn_first", [True, False])
def test_a_spawn_that_meets_the_end_of_its_parent(
    world: World, verb: str, spawn_first: bool
) -> None:
    """Both wait for the parent; whoever is first decides."""
    root = world.spawn()
    parent = world.spawn(root)
    with held(rows(parent)) as wait_for:
        starts = [
            lambda: world.start_spawn(parent),
            lambda: world.start_turn(verb, root),
        ]
        begun = []
        for number, start in enumerate(starts if spawn_first else starts[::-1], 1):
            begun.append(start())
            wait_for(number)
    statuses = world.at_once(*begun)
    spawned = statuses[0 if spawn_first else 1]
    assert spawned == (201 if spawn_first else 404)
    world.assert_sound()
    assert not world.get("/agents?status=active").json()["items"]


@pytest.mark.parametrize("verb", ["suspend", "terminate"])
def test_spawns_all_over_a_tree_that_is_ended_or_rests(world: World, verb: str) -> None:
    for _ in ROUNDS:
        root = world.spawn()
        middle = world.spawn(root)
        leaf = world.spawn(middle)
        world.at_once(
            *(world.start_spawn(agent) for agent in (leaf, middle, root)),
            world.start_turn(verb, root),
            *(world.start_spawn(agent) for agent in (leaf, middle, root)),
        )
        world.assert_sound()
        assert world.agent(root).status != "active"


def test_a_spawn_inheriting_an_edge_that_is_revoked_above(world: World) -> None:
    for _ in ROUNDS:
        a, b = world.spawn(), world.spawn()
        edge = world.delegate(a, b, constraints={"max_hops": 5})
        child = world.spawn(b)
        world.at_once(
            world.start_spawn(child),
            world.start_spawn(b),
            world.start_revocation(edge),
            world.start_spawn(child),
        )
        world.assert_sound()
        assert world.agent(b).status == "terminated"
    assert not DelegationEdge.objects.in_zone(world.zone.id).active().exists()


def test_terminated_agents_do_not_come_back(world: World) -> None:
    """terminate(mid) has begun when suspend(root) reads the tree; then resume(root)."""
    root = world.spawn()
    middle = world.spawn(root)
    leaf = world.spawn(middle)
    with held(rows(leaf)) as wait_for:
        ended = world.start_turn("terminate", middle)
        wait_for(1)
        rested = world.start_turn("suspend", root)
        wait_for(2)
    assert world.at_once(ended, rested)[0] == 204
    world.resume(root)
    assert [world.agent(agent).status for agent in (root, middle, leaf)] == [
        "active", "terminated", "terminated",
    ]  # fmt: skip
    world.assert_sound()


def test_parent_and_child_ended_together_end_once(world: World) -> None:
    for _ in ROUNDS:
        root = world.spawn()
        middle = world.spawn(root)
        leaf = world.spawn(middle)
        found = world.at_once(
            *(
                world.start_turn("terminate", agent)
                for agent in (leaf, root, middle) * 2
            )
        )
        assert set(found) <= {204, 409}
        assert [world.agent(agent).transition for agent in (root, middle, leaf)] == [
            1
        ] * 3
        world.assert_sound()


def test_suspend_and_terminate_from_both_ends_never_fail(world: World) -> None:
    """The one descends from the root, the other goes up to count its children."""
    for _ in ROUNDS:
        root = world.spawn()
        child = world.spawn(root)
        with held(rows(root)) as wait_for:
            ended = world.start_turn("terminate", child)
            wait_for(1)
            rested = world.start_turn("suspend", root)
            wait_for(2)
        assert world.at_once(ended, rested) == [204, 200]
        world.assert_sound()


def test_resume_below_what_is_just_being_suspended(world: World) -> None:
    for _ in ROUNDS:
        root = world.spawn()
        middle = world.spawn(root)
        upper = world.spawn(middle)
        leaf = world.spawn(upper)
        world.suspend(leaf)
        world.at_once(
            world.start_turn("suspend", root), world.start_turn("resume", leaf)
        )
        world.assert_sound()
        assert world.agent(leaf).status == "suspended"


def test_archiving_meets_everything(world: World) -> None:
    for _ in ROUNDS:
        root = world.spawn()
        child = world.spawn(root)
        with Threads(1) as threads:
            begun = [
                world.start_spawn(child),
                world.start_turn("suspend", root),
                world.start_spawn(),
                world.start_turn("terminate", child),
            ]
            archived = threads.start(
                services.archive_application,
                world.application.id,
                zone_id=world.zone.id,
                actor=actors.system("tests"),
                reason="no longer needed",
            )
            begun += [world.start_spawn(root), world.start_spawn()]
            world.at_once(*begun)
            archived.result()
        world.assert_sound()
        assert not AgentSession.objects.in_zone(world.zone.id).live().exists()
        world.application = world.make_application()


def test_archiving_the_zone_meets_spawns(world: World) -> None:
    root = world.spawn()
    with Threads(1) as threads:
        begun = [world.start_spawn(), world.start_spawn(root), world.start_spawn()]
        archived = threads.start(
            services.archive_zone,
            world.zone.id,
            actor=actors.system("tests"),
            reason="no longer needed",
        )
        begun += [world.start_spawn(), world.start_turn("suspend", root)]
        world.at_once(*begun)
        archived.result()
    world.assert_sound()
    assert not AgentSession.objects.in_zone(world.zone.id).live().exists()


def test_a_spawn_under_an_overdue_parent_meets_the_sweep(world: World) -> None:
    """W31: the one holds what the other waits for, in one order only."""
    for sweep_first in (True, False):
        parent = world.spawn()
        child = world.spawn(parent)
        rows(parent).update(expires_at=timezone.now() - timedelta(seconds=1))
        with Threads(1) as threads:
            starts = [
                lambda: threads.start(expire_due_agents),
                lambda: world.start_spawn(parent),  # noqa: B023
            ]
            with held(rows(parent)) as wait_for:
                begun = []
                for number, start in enumerate(
                    starts if sweep_first else starts[::-1], 1
                ):
                    begun.append(start())
                    wait_for(number)
            swept, spawned = begun if sweep_first else begun[::-1]
            assert world.at_once(spawned) == [404]
            assert swept.result().error == ""
        assert [world.agent(a).status for a in (parent, child)] == [
            "expired",
            "terminated",
        ]
        world.assert_sound()


def test_sweeps_of_several_zones_take_turns(world: World, elsewhere: Zone) -> None:
    """W31: each zone has a transaction of its own, so no worker holds two."""
    expire_due_agents()  # what other tests left
    worlds = [world, World(elsewhere, world.coordinator)]
    for _ in range(3):
        agents = [each.spawn() for each in worlds for _ in range(4)]
        rows(*agents).update(expires_at=timezone.now() - timedelta(seconds=1))
        with Threads(3) as threads:
            with held(rows(agents[0]), rows(agents[-1])) as wait_for:
                sweeps = [threads.start(expire_due_agents) for _ in range(3)]
                wait_for(3)
            assert sum(sweep.result().handled for sweep in sweeps) == len(agents)
        for each in worlds:
            each.assert_sound()


@pytest.mark.parametrize("order", list(permutations(("suspend", "resume", "spawn"))))
def test_suspend_above_and_resume_and_spawn_below_in_every_order(
    world: World, order: tuple[str, ...]
) -> None:
    """W30: three transactions wait for the same agent and go on one by one."""
    root = world.spawn()
    middle = world.spawn(root)
    leaf = world.spawn(middle)
    world.suspend(leaf)
    starts = {
        "suspend": lambda: world.start_turn("suspend", root),
        "resume": lambda: world.start_turn("resume", leaf),
        "spawn": lambda: world.start_spawn(middle),
    }
    with held(rows(middle)) as wait_for:
        begun = {}
        for number, verb in enumerate(order, 1):
            begun[verb] = starts[verb]()
            wait_for(number)
    assert world.at_once(begun["suspend"]) == [200]
    world.at_once(*begun.values())
    world.assert_sound()
    assert world.agent(leaf).status == "suspended"
    active = world.get("/agents?status=active").json()["items"]
    assert active == []


def test_resume_of_a_tree_meets_the_end_of_a_branch(world: World) -> None:
    """W28, the other way: what ends meanwhile is not made active."""
    root = world.spawn()
    middle = world.spawn(root)
    leaf = world.spawn(middle)
    world.suspend(root)
    with held(rows(leaf)) as wait_for:
        ended = world.start_turn("terminate", middle)
        wait_for(1)
        resumed = world.start_turn("resume", root)
        wait_for(2)
    assert world.at_once(ended, resumed) == [204, 200]
    assert [world.agent(agent).status for agent in (root, middle, leaf)] == [
        "active", "terminated", "terminated",
    ]  # fmt: skip
    world.assert_sound()


def test_the_same_turn_from_many_hands_happens_once(world: World) -> None:
    root = world.spawn()
    child = world.spawn(root)
    for verb in ("suspend", "resume"):
        found = world.at_once(*(world.start_turn(verb, root) for _ in range(6)))
        assert sorted(found) == [200] + [409] * 5, verb
    assert [world.agent(agent).transition for agent in (root, child)] == [2, 2]


SWEEP = """
import django
django.setup()
from agents.tasks import expire_agents
expire_agents()
"""


def test_a_sweep_that_is_killed_on_the_way_is_done_by_the_next(world: World) -> None:
    """It has locked the root of a tree and waits for the leaf: nothing of it stays."""
    expire_due_agents()  # what other tests left
    root = world.spawn()
    leaf = world.spawn(root)
    rows(root).update(expires_at=timezone.now() - timedelta(seconds=1))
    url = urlsplit(settings.DATABASE_URL)
    database = quote(connection.settings_dict["NAME"])
    environment = os.environ | {
        "DATABASE_URL": url._replace(path=f"/{database}").geturl(),
        "DB_LOCK_TIMEOUT_MS": "60000",
    }
    with held(rows(leaf)):
        sweep = subprocess.Popen(
            [sys.executable, "-c", SWEEP], env=environment, cwd=settings.BASE_DIR
        )
        given_up_at = time.monotonic() + 30
        while time.monotonic() < given_up_at:
            with suppress(AssertionError):
                wait_for(1)
                break
        sweep.kill()
        assert sweep.wait() == -signal.SIGKILL
    assert [world.agent(a).status for a in (root, leaf)] == ["active", "active"]
    world.assert_sound()
    assert expire_due_agents().handled == 2
    assert expire_due_agents().handled == 0
    assert [world.agent(a).status for a in (root, leaf)] == ["expired", "terminated"]
    assert [world.agent(a).transition for a in (root, leaf)] == [1, 1]
    world.assert_sound()
