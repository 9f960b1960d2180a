"""Revocation: what falls, what stands, and what is told (D12, D14)."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from django.utils import timezone

from agents.models import AgentSession, Invocation
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import ADMIN, World, refusal
from delegations.models import DelegationEdge
from delegations.services import expire_due_edges
from tokens.models import Session

LIFECYCLE = "caracal.agents.lifecycle"
INVALIDATE = "caracal.delegations.invalidate"
REVOKE = "caracal.sessions.revoke"


def hops(count: int) -> dict[str, Any]:
    return {"constraints": {"max_hops": count}}


def ids(*agents: dict[str, Any]) -> list[str]:
    return sorted(agent["agent_session_id"] for agent in agents)


def chain_of(
    world: World, length: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Agents in a row and the edges between them, made from the far end."""
    agents = [world.spawn() for _ in range(length + 1)]
    pairs = pairwise(agents)
    edges = [world.delegate(source, target) for source, target in reversed(list(pairs))]
    return agents, edges[::-1]


def test_revoking_the_first_of_thirteen_revokes_all(world: World) -> None:
    agents, edges = chain_of(world, 13)
    first = edges[0]["delegation_edge_id"]
    impact = world.get(f"/delegations/{first}/impact").json()
    assert len(impact["affected_edges"]) == 13
    assert sorted(impact["affected_agents"]) == ids(*agents[1:])
    answer = world.revoke(first)
    assert answer.json() == {
        "revoked_edges": 13,
        "affected_sessions": 1,
        "terminated_agents": 13,
    }
    assert {world.edge(edge).status for edge in edges} == {"revoked"}
    assert [world.agent(agent).status for agent in agents] == ["active"] + [
        "terminated"
    ] * 13


def test_the_impact_is_what_the_revocation_does(world: World) -> None:
    a, b, c = world.spawn(), world.spawn(), world.spawn(by=world.make_application())
    top = world.delegate(a, b, **hops(4))
    child = world.spawn(b)
    below = world.spawn(child)
    world.delegate(child, c, grants=(ADMIN,), **hops(2))
    service = world.register()
    calls = [
        world.invoke(
            service, grants=(ADMIN,), source_session_id=agent["agent_session_id"]
        )["id"]
        for agent in (a, b, below, c)
    ]
    impact = world.get(f"/delegations/{top['delegation_edge_id']}/impact").json()
    assert sorted(impact["affected_agents"]) == ids(b, child, below)
    assert impact["narrowed_agents"] == ids(c)
    assert sorted(impact["affected_invocations"]) == sorted(calls[1:3])
    assert impact["affected_subject_sessions"] == [world.session().id]
    edges = {link["id"]: link["depth"] for link in impact["affected_edges"]}
    assert edges[top["delegation_edge_id"]] == 1
    answer = world.revoke(top).json()
    assert answer == {
        "revoked_edges": len(edges),
        "affected_sessions": 1,
        "terminated_agents": 3,
    }
    revoked = DelegationEdge.objects.filter(zone_id=world.zone.id, status="revoked")
    assert set(revoked.values_list("id", flat=True)) == set(edges)
    ended = AgentSession.objects.filter(zone_id=world.zone.id, status="terminated")
    assert sorted(ended.values_list("id", flat=True)) == sorted(
        impact["affected_agents"]
    )
    statuses = [Invocation.objects.get(id=call).status for call in calls]
    assert statuses == ["pending", "canceled", "canceled", "pending"]


def test_reasons_tell_why_each_agent_ended(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b, **hops(3))
    child = world.spawn(b)
    world.revoke(edge)
    target, below = world.agent(b), world.agent(child)
    assert (target.status, target.termination_reason) == (
        "terminated",
        "delegation_revoked",
    )
    assert (below.status, below.termination_reason) == (
        "terminated",
        "parent_terminated",
    )
    assert target.terminated_at is not None
    row = world.edge(edge)
    assert (row.status, row.edge_version, row.revoked_reason) == (
        "revoked",
        1,
        "delegation_revoked",
    )
    assert row.revoked_at is not None


def test_another_application_s_agent_survives_without_authority(world: World) -> None:
    other = world.make_application()
    a, b, c = world.spawn(), world.spawn(by=other), world.spawn(by=other)
    edge = world.delegate(a, b, **hops(3))
    onward = world.delegate(b, c, grants=(ADMIN,), **hops(2))
    child = world.spawn(b, by=other)
    assert world.revoke(edge).json()["revoked_edges"] == 3
    assert world.agent(b).status == "active"
    assert world.edge(onward).status == "revoked"
    # What B's own application could have ended, and lived by that authority, ends.
    assert world.agent(child).status == world.agent(c).status == "terminated"
    authority = world.get(
        f"/agents/{b['agent_session_id']}/effective-authority", by=other
    ).json()
    assert (authority["root"], authority["effective_scopes"]) == (False, [])
    again = world.try_delegate(b, world.spawn(by=other), by=other)
    assert refusal(again) == (403, "delegation_exceeds_parent_authority")


def test_a_diamond_stands_on_its_other_side(world: World) -> None:
    x, y = world.spawn(), world.spawn()
    b, c = world.spawn(), world.spawn()
    by_x = world.delegate(x, b, **hops(3))
    by_y = world.delegate(y, b, **hops(3))
    onward = world.delegate(b, c, parent_edge_id=by_y["delegation_edge_id"], **hops(2))
    assert world.revoke(by_x).json() == {
        "revoked_edges": 1,
        "affected_sessions": 0,
        "terminated_agents": 0,
    }
    assert world.agent(b).status == world.agent(c).status == "active"
    assert world.edge(onward).status == "active"
    assert world.revoke(by_y).json()["terminated_agents"] == 2
    assert world.edge(onward).status == "revoked"


def test_revoking_an_edge_leaves_its_issuer_in_force(world: World) -> None:
    """W5: parent and child share their application's session, and revoking the child's
    edge revoked it: every later call of the application was refused."""
    parent = world.spawn()
    child = world.spawn(parent)
    assert parent["subject_session_id"] == child["subject_session_id"]
    token = world.token()
    edge = world.delegate(parent, child, token=token)
    assert world.revoke(edge, token=token).status_code == 200
    session = Session.objects.get(id=parent["subject_session_id"])
    assert session.status == "active"
    assert world.try_spawn(parent, token=token).status_code == 201
    assert world.agent(parent).status == "active"


def test_a_side_that_has_expired_holds_nothing_up(world: World) -> None:
    x, y, b = world.spawn(), world.spawn(), world.spawn()
    live, past = world.delegate(x, b), world.delegate(y, b)
    DelegationEdge.objects.filter(id=past["delegation_edge_id"]).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert world.revoke(live).json()["terminated_agents"] == 1
    assert world.agent(b).status == "terminated"


def test_an_edge_can_be_revoked_between_its_expiry_and_its_mark(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b)
    DelegationEdge.objects.filter(id=edge["delegation_edge_id"]).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert world.revoke(edge).status_code == 200
    expire_due_edges()
    assert world.edge(edge).status == "revoked"


def test_what_is_not_active_cannot_be_revoked(world: World) -> None:
    edge = world.delegate(world.spawn(), world.spawn())
    world.revoke(edge)
    for edge_id in (edge["delegation_edge_id"], "unknown"):
        assert refusal(world.revoke(edge_id)) == (404, "delegation_not_found")
    assert refusal(world.get("/delegations/unknown/impact")) == (
        404,
        "delegation_not_found",
    )
    assert world.get("/delegations/unknown/traverse").json() == []


def test_only_the_issuer_or_an_admin_revokes(world: World) -> None:
    other = world.make_application()
    a, b = world.spawn(), world.spawn(by=other)
    edges = [world.delegate(a, b) for _ in range(3)]
    assert refusal(world.revoke(edges[0], by=other)) == (
        403,
        "issuer_ownership_required",
    )
    leave = f"coordinator.delegate_from:{world.application.id}"
    assert world.revoke(edges[0], by=other, scopes=(leave,)).status_code == 200
    assert world.revoke(edges[1], by=other, scopes=(ADMIN,)).status_code == 200
    assert world.revoke(edges[2]).status_code == 200


def test_a_bound_token_revokes_what_its_subtree_gave(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    child = world.spawn(a)
    mine = world.delegate(child, b)
    beside = world.delegate(world.spawn(), world.spawn())
    bound = world.token(agent_session_id=a["agent_session_id"])
    assert refusal(world.revoke(beside, token=bound)) == (403, "outside_agent_subtree")
    assert world.revoke(mine, token=bound).status_code == 200


def test_a_revocation_is_told_by_edge_and_agent_and_never_by_session(
    world: World, events: Events
) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b, **hops(3))
    child = world.spawn(b)
    mirror = child["delegation_edge_id"]
    events.take()
    before = world.epoch()
    world.revoke(edge)
    left = events.take()
    top = edge["delegation_edge_id"]
    assert left.payloads(INVALIDATE) == [
        {
            "event": "edge_revoke",
            "zone_id": world.zone.id,
            "edge_id": top,
            "affected_edges": 2,
            "epoch": before + 1,
        }
    ]
    assert world.epoch() == before + 1
    told = left.payloads(REVOKE)
    assert not any("session_id" in payload for payload in told)
    assert {p["delegation_edge_id"] for p in told if "delegation_edge_id" in p} == {
        top,
        mirror,
    }
    assert {p["agent_session_id"] for p in told if "agent_session_id" in p} == set(
        ids(b, child)
    )
    assert {p["reason"] for p in told} == {"delegation_revoked"}
    ended = left.payloads(LIFECYCLE)
    assert [(p["event"], p["agent_session_id"]) for p in ended] == [
        ("terminate", agent["agent_session_id"]) for agent in (b, child)
    ]
    assert len(left.keys) == len(set(left.keys))
    (audit,) = left.audit
    assert (audit.entity_type, audit.entity_id) == ("delegations", top)
    assert audit.payload_json["edges"] == audit.payload_json["agents"] == 2
    assert audit.status_code == 200
    world.session().refresh_from_db()
    assert world.session().status == "active"


def test_edges_past_their_expiry_are_marked_and_told_once_a_zone(
    world: World, events: Events
) -> None:
    a = world.spawn()
    edges = [world.delegate(a, world.spawn()) for _ in range(3)]
    expired = sorted(edge["delegation_edge_id"] for edge in edges)
    DelegationEdge.objects.filter(id__in=expired).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    events.take()
    before = world.epoch()
    assert expire_due_edges() >= 3
    assert world.epoch() == before + 1
    left = events.take()
    assert left.payloads(INVALIDATE) == [
        {
            "event": "edge_expire",
            "zone_id": world.zone.id,
            "affected_edges": 3,
            "edge_ids": expired,
            "epoch": before + 1,
        }
    ]
    assert left.keys == [f"edge_expire:{world.zone.id}:{before + 1}"]
    assert len(left.audit) == 1
    assert {world.edge(edge).status for edge in edges} == {"expired"}
