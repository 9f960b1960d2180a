"""Reads of the graph: who sees what, and what an agent may do."""

from __future__ import annotations

from typing import Any

from caracal_site.actors import Actor
from caracal_site.ids import new_id
from caracal_site.testing.world import ADMIN, BROAD, READ, WRITE, World, refusal
from zones import services

HOPS: dict[str, Any] = {"constraints": {"max_hops": 3}}


def edge_ids(world: World, path: str, **given: Any) -> list[str]:
    return [item["id"] for item in world.get(path, **given).json()["items"]]


def test_both_sides_of_an_edge_see_it_and_nobody_else(world: World) -> None:
    other, third = world.make_application(), world.make_application()
    a, b = world.spawn(), world.spawn(by=other)
    edge = world.delegate(a, b)["delegation_edge_id"]
    paths = (
        "/delegations/active",
        f"/delegations/inbound/{b['agent_session_id']}",
        f"/delegations/outbound/{a['agent_session_id']}",
    )
    for path in paths:
        assert edge_ids(world, path) == [edge]
        assert edge_ids(world, path, by=other) == [edge]
        assert edge_ids(world, path, by=third) == []
        assert edge_ids(world, path, by=third, scopes=(ADMIN,)) == [edge]
    assert len(world.get(f"/delegations/{edge}/traverse", by=other).json()) == 1
    assert world.get(f"/delegations/{edge}/traverse", by=third).json() == []
    assert world.get(f"/delegations/{edge}/impact", by=other).status_code == 200
    hidden = world.get(f"/delegations/{edge}/impact", by=third)
    assert refusal(hidden) == (404, "delegation_not_found")


def test_nothing_of_another_zone_is_seen_or_revoked(world: World, actor: Actor) -> None:
    foreign = World(services.create_zone(new_id(), actor=actor), world.coordinator)
    edge = foreign.delegate(foreign.spawn(), foreign.spawn())["delegation_edge_id"]
    assert world.get(f"/delegations/{edge}/traverse", scopes=(ADMIN,)).json() == []
    for answer in (
        world.get(f"/delegations/{edge}/impact", scopes=(ADMIN,)),
        world.revoke(edge, scopes=(ADMIN,)),
    ):
        assert refusal(answer) == (404, "delegation_not_found")
    assert foreign.edge(edge).status == "active"


def test_ended_edges_stay_in_the_history_of_their_ends_only(world: World) -> None:
    a, b = world.spawn(), world.spawn(by=world.make_application())
    ended, live = (world.delegate(a, b)["delegation_edge_id"] for _ in range(2))
    world.revoke(ended)
    assert edge_ids(world, "/delegations/active") == [live]
    assert edge_ids(world, f"/delegations/outbound/{a['agent_session_id']}") == [
        live,
        ended,
    ]
    assert edge_ids(world, "/delegations/inbound/nobody") == []


def test_the_active_list_tells_why_an_edge_is_broad(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    world.delegate(a, b)
    reason = {"constraints": {"broad_reason": "an emergency"}}
    world.delegate(a, b, resource_id=None, grants=(BROAD,), **reason)
    items = world.get("/delegations/active").json()["items"]
    assert [item["broad_reason"] for item in items] == ["an emergency", None]


def test_a_list_of_edges_is_read_in_pages(world: World) -> None:
    a = world.spawn()
    made = [world.delegate(a, world.spawn())["delegation_edge_id"] for _ in range(5)]
    for path in (
        "/delegations/active",
        f"/delegations/outbound/{a['agent_session_id']}",
    ):
        page = world.get(f"{path}?limit=2").json()
        found = [item["id"] for item in page["items"]]
        while page["next_cursor"]:
            page = world.get(f"{path}?limit=2&cursor={page['next_cursor']}").json()
            found += [item["id"] for item in page["items"]]
        assert found == made[::-1]
        assert refusal(world.get(f"{path}?cursor=x")) == (400, "invalid_cursor")


def test_what_an_agent_may_do_is_what_its_edges_have_in_common(world: World) -> None:
    second = world.make_resource(world.application, READ, "mail:send")
    a, b = world.spawn(), world.spawn()
    path = f"/agents/{b['agent_session_id']}/effective-authority"
    assert world.get(path).json() == {
        "agent_session_id": b["agent_session_id"],
        "exists": True,
        "root": True,
        "inbound_edges": [],
        "effective_scopes": [],
        "effective_resources": [],
        "effective_max_hops": 0,
        "effective_ttl_seconds": None,
        "earliest_expires_at": None,
    }
    first = world.delegate(a, b, scopes=[READ, WRITE], **HOPS)
    later = world.delegate(
        a, b, resource_id=second.id, scopes=["mail:send", READ], ttl_seconds=60
    )
    assert world.get(path).json() == {
        "agent_session_id": b["agent_session_id"],
        "exists": True,
        "root": False,
        "inbound_edges": [first["delegation_edge_id"], later["delegation_edge_id"]],
        "effective_scopes": [READ],
        "effective_resource_ids": sorted([world.resource.id, second.id]),
        "effective_resources": sorted([world.resource.identifier, second.identifier]),
        "effective_resource_constrained": True,
        "effective_max_hops": 1,
        "effective_ttl_seconds": 60,
        "earliest_expires_at": later["expires_at"],
    }


def test_an_unknown_agent_may_do_nothing(world: World) -> None:
    found = world.get("/agents/nobody/effective-authority").json()
    assert (found["exists"], found["root"], found["effective_scopes"]) == (
        False,
        False,
        [],
    )


def test_a_walk_follows_authority_over_agents(world: World) -> None:
    a, b, c, d = (world.spawn() for _ in range(4))
    top = world.delegate(a, b, **HOPS)["delegation_edge_id"]
    left = world.delegate(b, c, constraints={"max_hops": 2})["delegation_edge_id"]
    right = world.delegate(b, d)["delegation_edge_id"]
    last = world.delegate(c, d)["delegation_edge_id"]
    walked = world.get(f"/delegations/{top}/traverse").json()
    assert [(link["id"], link["depth"]) for link in walked] == [
        (top, 1), (left, 2), (right, 2), (last, 3),
    ]  # fmt: skip
    assert walked[0] == {
        "id": top,
        "source_session_id": a["agent_session_id"],
        "target_session_id": b["agent_session_id"],
        "depth": 1,
    }
    for query in ("limit=0", "limit=1001", "x=1"):
        answer = world.get(f"/delegations/{top}/traverse?{query}")
        assert refusal(answer) == (400, "invalid_query")
    assert refusal(world.get(f"/delegations/{top}/traverse?cursor=x")) == (
        400,
        "invalid_cursor",
    )
