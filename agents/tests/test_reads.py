"""Reads of agents: who sees what, and lists that can be read to their end."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from caracal_site.actors import Actor
from caracal_site.ids import new_id
from caracal_site.testing.world import ADMIN, World, refusal
from zones import services

Made = dict[str, Any]


def listed(world: World, path: str, **given: Any) -> list[str]:
    """Every id of a list, page by page, newest first."""
    found: list[str] = []
    separator = "&" if "?" in path else "?"
    url = path
    while True:
        page = world.get(url, **given).json()
        ids = [item.get("agent_session_id") or item["id"] for item in page["items"]]
        assert ids == sorted(ids, reverse=True)
        found += ids
        if page["next_cursor"] is None:
            return found
        url = f"{path}{separator}cursor={page['next_cursor']}"


def ids(*agents: Made) -> set[str]:
    return {agent["agent_session_id"] for agent in agents}


def test_an_application_sees_its_own_and_what_it_takes_part_in(world: World) -> None:
    other = world.make_application()
    mine, apart, theirs = world.spawn(), world.spawn(), world.spawn(by=other)
    leave = (f"coordinator.spawn_under:{world.application.id}",)
    child = world.spawn(mine, by=other, scopes=leave)
    given = world.spawn(by=other)
    world.delegate(mine, given)
    assert set(listed(world, "/agents")) == ids(mine, apart, child, given)
    assert set(listed(world, "/agents", by=other)) == ids(theirs, child, given, mine)
    everything = ids(mine, apart, theirs, child, given)
    assert set(listed(world, "/agents", scopes=(ADMIN,))) == everything
    operator = settings.CARACAL_COORDINATOR_TOKEN
    assert set(listed(world, "/agents", token=operator)) == everything


def test_what_is_not_seen_is_not_there(world: World) -> None:
    other = world.make_application()
    theirs = world.spawn(by=other)
    child = world.spawn(theirs, by=other)
    path = f"/agents/{theirs['agent_session_id']}"
    assert refusal(world.get(path)) == (404, "agent_not_found")
    assert world.get(f"{path}/children").json() == {"items": [], "next_cursor": None}
    authority = world.get(f"{path}/effective-authority").json()
    assert authority["exists"] is False
    assert world.get(path, by=other).status_code == 200
    assert listed(world, f"{path}/children", by=other) == [child["agent_session_id"]]


def test_nothing_of_another_zone_is_seen(world: World, actor: Actor) -> None:
    foreign = World(services.create_zone(new_id(), actor=actor), world.coordinator)
    agent = foreign.spawn()
    for scopes in ((), (ADMIN,)):
        answer = world.get(f"/agents/{agent['agent_session_id']}", scopes=scopes)
        assert refusal(answer) == (404, "agent_not_found")
    for turn in (world.terminate, world.suspend, world.resume):
        assert refusal(turn(agent, scopes=(ADMIN,))) == (404, "agent_not_found")
    assert foreign.agent(agent).status == "active"


def test_filters_choose_and_combine(world: World) -> None:
    blue = world.spawn(labels=["blue", "big"])
    red = world.spawn(labels=["red"], lifecycle="service")
    resting = world.spawn(labels=["blue"])
    world.suspend(resting)
    world.terminate(ended := world.spawn())
    for query, expected in {
        "status=active": ids(blue, red),
        "status=suspended": ids(resting),
        "status=terminated": ids(ended),
        "status=expired": set(),
        "lifecycle=service": ids(red),
        "label=blue": ids(blue, resting),
        "label=blue&status=active": ids(blue),
        "label=Blue": set(),
        f"application_id={world.application.id}": ids(blue, red, resting, ended),
        "application_id=nobody": set(),
    }.items():
        assert set(listed(world, f"/agents?{query}")) == expected, query


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_a_list_is_read_to_its_end_whatever_comes_meanwhile(
    world: World, limit: int
) -> None:
    agents = [world.spawn()["agent_session_id"] for _ in range(6)]
    page = world.get(f"/agents?limit={limit}").json()
    found = [item["agent_session_id"] for item in page["items"]]
    while page["next_cursor"]:
        world.spawn()
        page = world.get(f"/agents?limit={limit}&cursor={page['next_cursor']}").json()
        assert page["items"]
        found += [item["agent_session_id"] for item in page["items"]]
    assert found == agents[::-1]


def test_a_cursor_continues_its_own_question_only(world: World) -> None:
    parent = world.spawn()
    for _ in range(3):
        world.spawn(parent)
    cursor = world.get("/agents?limit=2&status=active").json()["next_cursor"]
    same = world.get(f"/agents?limit=1&status=active&cursor={cursor}")
    assert same.status_code == 200
    children = f"/agents/{parent['agent_session_id']}/children"
    for path in ("/agents?", "/agents?status=suspended&", f"{children}?status=active&"):
        answer = world.get(f"{path}cursor={cursor}")
        assert refusal(answer) == (400, "invalid_cursor")
    for wrong in ("x", parent["agent_session_id"], cursor + "A", "e30", "%00", "é"):
        answer = world.get(f"/agents?cursor={wrong}")
        assert answer.status_code == 400


def test_services_and_invocations_are_seen_by_their_parties(world: World) -> None:
    other, third = world.make_application(), world.make_application()
    service = world.register()
    caller = world.spawn(by=other)
    call = world.invoke(service, by=other, source_session_id=caller["agent_session_id"])
    seen = [service["id"]]
    assert listed(world, "/agent-services") == seen
    assert listed(world, "/agent-services", by=other) == []
    assert listed(world, "/agent-services", by=other, scopes=(ADMIN,)) == seen
    for by in (None, other):
        assert listed(world, "/invocations", by=by) == [call["id"]]
    assert listed(world, "/invocations", by=third) == []
    item = world.get("/invocations").json()["items"][0]
    assert "params_json" not in item
    assert item["status"] == "pending"
