"""Room for agents: the caps are exact, whoever comes at once (D9)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.models import AgentSession, Capacity
from caracal_site import actors
from caracal_site.testing.races import Threads
from caracal_site.testing.world import World, refusal
from zones import services


def live(world: World) -> int:
    return AgentSession.objects.in_zone(world.zone.id).live().count()


def spawn_at_once(world: World, count: int, **given: Any) -> Counter[int]:
    return Counter(world.at_once(*(world.start_spawn(**given) for _ in range(count))))


@pytest.mark.parametrize("cap", ["MAX_AGENTS_PER_ZONE", "MAX_AGENTS_PER_APP"])
@pytest.mark.parametrize("room", [1, 3])
def test_twelve_spawns_fill_the_last_places_exactly(
    world: World, settings: Any, cap: str, room: int
) -> None:
    for _ in range(4):
        world.spawn()
    for round_ in range(5):
        setattr(settings, cap, 4 + (round_ + 1) * room)
        found = spawn_at_once(world, 12)
        # Those that met a busy neighbour may have to come again.
        while found[409]:
            again = spawn_at_once(world, found.pop(409))
            found += again
        assert found == {201: room, 429: 12 - room}
        assert live(world) == world.room_taken() == 4 + (round_ + 1) * room
    world.assert_sound()


def test_twelve_spawns_fill_the_last_places_under_a_parent_exactly(
    world: World, settings: Any
) -> None:
    for round_ in range(5):
        settings.MAX_CHILDREN = 3
        parent = world.spawn()
        for _ in range(2):
            world.spawn(parent)
        found = spawn_at_once(world, 12, parent=parent)
        assert found == {201: 1, 429: 11}, round_
        assert world.agent(parent).child_count == 3
    world.assert_sound()


def test_the_zone_s_limit_is_told_before_the_application_s(
    world: World, settings: Any
) -> None:
    settings.MAX_AGENTS_PER_APP = 1
    world.spawn()
    full = world.try_spawn()
    assert refusal(full) == (429, "agent_limit_exceeded")
    assert int(full.headers["Retry-After"]) > 0
    settings.MAX_AGENTS_PER_ZONE = 1
    assert refusal(world.try_spawn()) == (429, "agent_zone_limit_exceeded")


def test_another_application_s_agents_take_no_room_of_mine(
    world: World, settings: Any
) -> None:
    settings.MAX_AGENTS_PER_APP = 1
    other = world.make_application()
    world.spawn()
    assert world.spawn(by=other)
    assert (world.room_taken(), world.room_taken(other.id)) == (2, 1)


def test_ended_agents_give_their_places_back_once(world: World, settings: Any) -> None:
    settings.MAX_AGENTS_PER_ZONE = 6
    root = world.spawn()
    children = [world.spawn(root) for _ in range(3)]
    leaf = world.spawn(children[0])
    ends = [
        world.start_turn("terminate", agent) for agent in (leaf, *children, root) * 2
    ]
    world.at_once(*ends)
    while world.terminate(root).status_code == 409:
        pass
    assert live(world) == world.room_taken() == 0
    assert spawn_at_once(world, 8)[201] == 6
    world.assert_sound()


def test_a_place_is_free_again_as_soon_as_its_agent_s_time_is_over(
    world: World, settings: Any
) -> None:
    settings.MAX_AGENTS_PER_ZONE = 2
    world.spawn()
    world.spawn()
    assert refusal(world.try_spawn())[0] == 429
    AgentSession.objects.in_zone(world.zone.id).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert world.spawn()
    assert live(world) == world.room_taken() == 1


def test_making_room_never_leaves_a_child_below_what_it_ended(
    world: World, settings: Any
) -> None:
    settings.MAX_AGENTS_PER_ZONE = 2
    root = world.spawn()
    child = world.spawn(root)
    AgentSession.objects.filter(id=root["agent_session_id"]).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    answer = world.try_spawn(child)
    assert answer.status_code in (404, 429)
    world.assert_sound()


def test_a_lower_cap_stops_spawns_until_enough_have_ended(
    world: World, settings: Any
) -> None:
    agents = [world.spawn() for _ in range(5)]
    settings.MAX_AGENTS_PER_ZONE = 3
    for agent in agents[:3]:
        assert refusal(world.try_spawn())[0] == 429
        world.terminate(agent)
    assert world.spawn()
    assert refusal(world.try_spawn())[0] == 429
    settings.MAX_AGENTS_PER_ZONE = 10_000
    assert spawn_at_once(world, 12) == {201: 12}


def test_a_self_registered_application_runs_one_agent_however_many_come(
    world: World,
) -> None:
    for _ in range(5):
        dynamic = world.make_application(
            registration_method="dcr", expires_at=timezone.now() + timedelta(hours=1)
        )
        world.session(dynamic)
        found = spawn_at_once(world, 6, by=dynamic)
        assert found[201] == 1
        assert (
            AgentSession.objects.filter(application_id=dynamic.id).live().count() == 1
        )


def test_archiving_meets_spawns_and_leaves_none_alive(world: World) -> None:
    for _ in range(5):
        other = world.make_application()
        world.session(other)
        world.spawn(by=other)
        with Threads(1) as threads:
            spawns = [world.start_spawn(by=other) for _ in range(6)]
            archived = threads.start(
                services.archive_application,
                other.id,
                zone_id=world.zone.id,
                actor=actors.system("tests"),
                reason="no longer needed",
            )
            world.at_once(*spawns)
            archived.result()
        assert not AgentSession.objects.filter(application_id=other.id).live().exists()
    world.assert_sound()


def test_the_room_is_shared_out_over_its_slots(world: World, settings: Any) -> None:
    settings.MAX_AGENTS_PER_ZONE = 160
    world.spawn()
    slots = Capacity.objects.filter(scope_id=world.zone.id)
    assert sum(slot.quota for slot in slots) == 160
    assert {slot.quota for slot in slots} == {10}
