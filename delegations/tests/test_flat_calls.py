"""The flat calls of delegation, the same verbs by bodies (coordinator.md 8)."""

from __future__ import annotations

from typing import Any

import pytest

from caracal_site.testing.evidence import Events
from caracal_site.testing.world import (
    EXCHANGE_ENDS,
    FLAT_ENDS,
    WRITE,
    World,
    made,
    refusal,
)
from zones.models import Zone

CALLS = [("exchange", EXCHANGE_ENDS), ("delegate-to-existing-agent", FLAT_ENDS)]
both_calls = pytest.mark.parametrize(("name", "ends"), CALLS, ids=[c[0] for c in CALLS])


def revoke_body(edge: dict[str, Any]) -> dict[str, Any]:
    return {"delegation_edge_id": edge["delegation_edge_id"]}


@both_calls
def test_an_edge_comes_about_as_by_the_route_of_the_zone(
    world: World, name: str, ends: tuple[str, str]
) -> None:
    a, b = world.spawn(), world.spawn()
    expected = world.delegate(a, b, constraints={"max_hops": 3})
    body = world.exchange_body(a, b, ends=ends, constraints_json={"max_hops": 3})
    edge = made(world.call(name, body))
    assert set(edge) == set(expected)
    assert edge["constraints_json"] == {"max_hops": 3}
    assert edge["expires_at"] == body["expires_at"]
    row = world.edge(edge)
    assert row.source_session_id == a["agent_session_id"]
    assert row.target_session_id == b["agent_session_id"]


@both_calls
def test_what_is_held_by_delegation_is_passed_on_but_not_widened(
    world: World, name: str, ends: tuple[str, str]
) -> None:
    a, b, c = world.spawn(), world.spawn(), world.spawn()
    parent = world.delegate(a, b, constraints={"max_hops": 3})
    within = {"max_hops": 2, "ttl_seconds": 600}
    body = world.exchange_body(b, c, ends=ends, constraints_json=within)
    body["expires_at"] = parent["expires_at"]
    response = world.call(name, {**body, "scopes": [WRITE]})
    assert refusal(response) == (403, "delegation_exceeds_parent_authority")
    edge = made(world.call(name, body))
    assert edge["parent_edge_id"] == parent["delegation_edge_id"]
    other = {**body, "parent_edge_id": "nobody"}
    assert refusal(world.call(name, other)) == (403, "parent_delegation_not_active")


@both_calls
@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"expires_at": "soon"}, ["expires_at"]),
        ({"expires_at": 7}, ["expires_at"]),
        ({"scopes": "read"}, ["scopes"]),
        ({"scopes": [""]}, ["scopes", "0"]),
        ({"constraints_json": None}, ["constraints_json"]),
        ({"constraints": {}}, ["constraints"]),
        ({"ttl_seconds": 50}, ["ttl_seconds"]),
        ({"issuer_application_id": ""}, ["issuer_application_id"]),
        ({"resource_id": ""}, ["resource_id"]),
    ],
)
def test_a_wrong_member_is_named(
    world: World,
    name: str,
    ends: tuple[str, str],
    members: dict[str, Any],
    path: list[str],
) -> None:
    agent = {"agent_session_id": "a", "application_id": world.application.id}
    body = {**world.exchange_body(agent, agent, ends=ends), **members}
    response = world.call(name, body)
    assert refusal(response) == (400, "invalid_body")
    assert [i["path"] for i in response.json()["details"]["issues"]] == [path]


@both_calls
def test_every_member_that_must_be_there_is_asked_for(
    world: World, name: str, ends: tuple[str, str]
) -> None:
    response = world.call(name, {})
    assert refusal(response) == (400, "invalid_body")
    assert {issue["path"][0] for issue in response.json()["details"]["issues"]} == {
        *ends,
        "issuer_application_id",
        "receiver_application_id",
        "expires_at",
    }


def test_an_unknown_constraint_is_refused(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    body = world.exchange_body(a, b, constraints_json={"colour": "red"})
    response = world.call("exchange", body)
    assert refusal(response) == (400, "invalid_delegation_constraint")


def test_a_revocation_tells_how_much_has_ended(world: World, events: Events) -> None:
    a, b = world.spawn(), world.spawn()
    edge = made(world.call("exchange", world.exchange_body(a, b)))
    response = world.call("revoke-delegation", revoke_body(edge))
    assert response.status_code == 200
    assert response.json() == {
        "revoked_edges": 1,
        "affected_sessions": 1,
        "terminated_agents": 1,
    }
    response = world.call("revoke-delegation", revoke_body(edge))
    assert refusal(response) == (404, "delegation_not_found")
    world.assert_sound()


def test_a_repeated_revocation_with_its_key_gets_the_first_answer(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = made(world.call("exchange", world.exchange_body(a, b)))
    key = {"Idempotency-Key": "k"}
    first, again = (
        world.call("revoke-delegation", revoke_body(edge), headers=key)
        for _ in range(2)
    )
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_repeated_delegation_with_its_key_is_one_edge(world: World) -> None:
    """W18: the lost answer of a delegation costs no second edge."""
    a, b = world.spawn(), world.spawn()
    body = world.exchange_body(a, b)
    first, again = (
        world.call("exchange", body, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert made(first) == again.json()
    listed = world.get("/delegations/active").json()["items"]
    assert [edge["id"] for edge in listed] == [first.json()["delegation_edge_id"]]


def test_twice_at_once_revokes_once(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = made(world.call("exchange", world.exchange_body(a, b)))
    calls = (world.start_call("revoke-delegation", revoke_body(edge)) for _ in "abc")
    assert sorted(world.at_once(*calls)) == [200, 404, 404]
    assert world.edge(edge).edge_version == 1


@pytest.mark.parametrize("zone_id", ["a b", "elsewhere"])
def test_the_zone_of_the_body_must_be_the_caller_s_own(
    world: World, zone_id: str
) -> None:
    agent = {"agent_session_id": "a", "application_id": world.application.id}
    calls = [
        (name, world.exchange_body(agent, agent, ends=ends)) for name, ends in CALLS
    ]
    calls.append(("revoke-delegation", {"delegation_edge_id": "e"}))
    for name, body in calls:
        response = world.call(name, {**body, "zone_id": zone_id})
        assert refusal(response) == (403, "zone_mismatch"), name


def test_an_edge_of_another_zone_is_not_found(world: World, elsewhere: Zone) -> None:
    other = World(elsewhere, world.coordinator)
    a, b = other.spawn(), other.spawn()
    edge = other.delegate(a, b)
    response = world.call("revoke-delegation", revoke_body(edge))
    assert refusal(response) == (404, "delegation_not_found")
    response = world.call("exchange", world.exchange_body(a, world.spawn()))
    assert refusal(response) == (403, "issuer_ownership_required")
    assert other.edge(edge).status == "active"


def test_an_id_that_fits_no_path_is_refused_as_such(world: World) -> None:
    response = world.call("revoke-delegation", {"delegation_edge_id": "a b"})
    assert refusal(response) == (400, "invalid_params")


def test_only_the_issuer_delegates_and_revokes(world: World) -> None:
    other, a, b = world.make_application(), world.spawn(), world.spawn()
    edge = world.delegate(a, b)
    for name, body in (
        ("exchange", world.exchange_body(a, b)),
        ("revoke-delegation", revoke_body(edge)),
    ):
        response = world.call(name, body, by=other)
        assert refusal(response) == (403, "issuer_ownership_required"), name
