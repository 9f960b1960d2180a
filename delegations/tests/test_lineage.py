"""Narrowed once, narrowed for life: authority below an edge and an agent (D10)."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
from django.utils import timezone

from agents.models import AgentSession
from caracal_site.testing.world import BROAD, READ, WRITE, World, refusal
from delegations.models import DelegationEdge
from delegations.services import expire_due_edges
from zones.models import Resource

EXCEEDS = (403, "delegation_exceeds_parent_authority")
AMBIGUOUS = (409, "parent_delegation_ambiguous")


def hops(count: int) -> dict[str, Any]:
    return {"constraints": {"max_hops": count}}


def expire(*edges: dict[str, Any]) -> None:
    """Lets the edges reach their end, unmarked as yet."""
    ids = [edge["delegation_edge_id"] for edge in edges]
    DelegationEdge.objects.filter(id__in=ids).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )


def exceeded(answer: httpx.Response) -> str:
    """In what the edge would have been wider, as the sentence says."""
    sentence: str = answer.json()["error_description"]
    return sentence.rpartition(" in ")[2].rstrip(".")


def test_the_end_of_the_parent_edge_restores_no_root_authority(world: World) -> None:
    a, b, c = world.spawn(), world.spawn(), world.spawn()
    edge = world.delegate(a, b, **hops(3))
    wider = {"scopes": [READ, WRITE]}
    assert refusal(world.try_delegate(b, c, **wider)) == EXCEEDS
    expire(edge)
    named = {"parent_edge_id": edge["delegation_edge_id"]}
    for marked in (False, True):
        if marked:
            expire_due_edges()
            assert world.edge(edge).status == "expired"
        assert refusal(world.try_delegate(b, c)) == EXCEEDS
        assert refusal(world.try_delegate(b, c, **wider)) == EXCEEDS
        assert refusal(world.try_delegate(b, c, **named)) == (
            403,
            "parent_delegation_not_active",
        )
        assert refusal(world.try_spawn(b)) == EXCEEDS
    authority = world.get(f"/agents/{b['agent_session_id']}/effective-authority").json()
    assert authority["exists"] is True
    assert authority["root"] is False
    assert authority["inbound_edges"] == []


def test_a_named_parent_must_lead_into_the_source(world: World) -> None:
    a, b, c = world.spawn(), world.spawn(), world.spawn()
    elsewhere = world.delegate(a, c)["delegation_edge_id"]
    for parent in (elsewhere, "unknown"):
        assert refusal(world.try_delegate(a, b, parent_edge_id=parent)) == (
            403,
            "parent_delegation_not_active",
        )


def test_of_several_parents_one_must_be_named(world: World) -> None:
    a, b, c = world.spawn(), world.spawn(), world.spawn()
    first = world.delegate(a, b, **hops(3))
    second = world.delegate(a, b, scopes=[READ, WRITE], **hops(2))
    assert refusal(world.try_delegate(b, c)) == AMBIGUOUS
    assert refusal(world.try_spawn(b)) == AMBIGUOUS
    chosen = second["delegation_edge_id"]
    edge = world.delegate(b, c, parent_edge_id=chosen, scopes=[WRITE])
    assert edge["parent_edge_id"] == chosen
    assert edge["effective_authority"]["parent_edges_considered"] == sorted(
        [first["delegation_edge_id"], chosen]
    )
    child = world.spawn(b, inherit_parent_edge_id=chosen)
    assert world.edge(child).parent_edge_id == chosen


def test_an_edge_below_another_counts_its_depth_and_names_its_root(
    world: World,
) -> None:
    agents = [world.spawn() for _ in range(4)]
    top = world.delegate(agents[0], agents[1], **hops(5))
    middle = world.delegate(agents[1], agents[2], **hops(4))
    last = world.delegate(agents[2], agents[3], **hops(3))
    assert last["parent_edge_id"] == middle["delegation_edge_id"]
    assert "parent_authority_narrowed" in last["allow_reason"]
    rows = [world.edge(edge) for edge in (top, middle, last)]
    assert [row.depth for row in rows] == [0, 1, 2]
    assert {row.root_edge_id for row in rows} == {top["delegation_edge_id"]}
    assert rows[2].expires_at <= rows[1].expires_at <= rows[0].expires_at


def test_hops_run_out(world: World) -> None:
    a, b, c, d = (world.spawn() for _ in range(4))
    world.delegate(a, b, **hops(2))
    assert refusal(world.try_delegate(b, c, **hops(2))) == EXCEEDS
    world.delegate(b, c)
    answer = world.try_delegate(c, d)
    assert refusal(answer) == EXCEEDS
    assert exceeded(answer) == "max_hops"
    assert refusal(world.try_spawn(c)) == EXCEEDS


def test_a_child_of_a_narrowed_agent_is_narrowed_whoever_asks(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b, constraints={"max_depth": 4, "budget": 2})
    child = world.spawn(b)
    mirror = world.edge(child)
    above = world.edge(edge)
    assert world.agent(child).narrowed
    assert mirror.parent_edge_id == above.id
    assert mirror.root_edge_id == above.root_edge_id
    assert (mirror.depth, mirror.max_hops) == (1, 3)
    assert mirror.source_session_id == b["agent_session_id"]
    assert mirror.target_session_id == child["agent_session_id"]
    assert mirror.scopes == above.scopes
    assert mirror.resource_id == above.resource_id
    assert mirror.expires_at == above.expires_at
    assert mirror.constraints_json == above.constraints_json | {
        "max_hops": 3,
        "max_depth": 3,
    }
    grandchild = world.spawn(child)
    assert world.edge(grandchild).max_hops == 2
    leaf = world.spawn(grandchild)
    assert world.edge(leaf).max_hops == 1
    assert refusal(world.try_spawn(leaf)) == EXCEEDS


def test_a_mirrored_edge_cannot_be_widened_again(world: World) -> None:
    a, b, c = world.spawn(), world.spawn(), world.spawn()
    world.delegate(a, b, **hops(5))
    child = world.spawn(b)
    assert refusal(world.try_delegate(child, c, scopes=[WRITE])) == EXCEEDS
    assert refusal(world.try_delegate(child, c, **hops(4))) == EXCEEDS
    assert world.delegate(child, c, **hops(3))


def test_the_inherited_edge_must_lead_into_the_parent(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b, **hops(3))["delegation_edge_id"]
    refused = (409, "inherit_parent_edge_not_active")
    assert refusal(world.try_spawn(a, inherit_parent_edge_id=edge)) == refused
    assert refusal(world.try_spawn(b, inherit_parent_edge_id="unknown")) == refused
    assert world.spawn(inherit_parent_edge_id=edge)["delegation_edge_id"] is None
    other = world.make_application()
    foreign = world.try_spawn(
        b,
        by=other,
        scopes=(f"coordinator.spawn_under:{world.application.id}",),
        inherit_parent_edge_id=edge,
    )
    assert refusal(foreign) == refused


def test_a_child_in_another_application_is_narrowed_as_well(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    world.delegate(a, b, **hops(3))
    other = world.make_application()
    child = world.spawn(
        b, by=other, scopes=(f"coordinator.spawn_under:{world.application.id}",)
    )
    mirror = world.edge(child)
    assert mirror.issuer_application_id == world.application.id
    assert mirror.receiver_application_id == other.id
    assert world.agent(child).narrowed


def test_authority_passes_on_across_applications_without_ownership(
    world: World,
) -> None:
    second, third = world.make_application(), world.make_application()
    a, b, c = world.spawn(), world.spawn(by=second), world.spawn(by=third)
    world.delegate(a, b, **hops(3))
    edge = world.delegate(b, c, **hops(2))
    assert edge["issuer_application_id"] == second.id
    assert edge["resource_id"] == world.resource.id


def test_broad_authority_passes_on_across_applications_within_its_scopes(
    world: World,
) -> None:
    second, third = world.make_application(), world.make_application()
    a, b, c = world.spawn(), world.spawn(by=second), world.spawn(by=third)
    grants = (BROAD, f"coordinator.delegate_to:{second.id}")
    world.delegate(a, b, resource_id=None, grants=grants, **hops(3))
    grants = (BROAD, f"coordinator.delegate_to:{third.id}")
    wider = world.try_delegate(
        b, c, by=second, resource_id=None, scopes=[WRITE], grants=grants, **hops(2)
    )
    assert refusal(wider) == EXCEEDS
    edge = world.try_delegate(
        b, c, by=second, resource_id=None, scopes=[READ], grants=grants, **hops(2)
    )
    assert edge.status_code == 201, edge.text


def test_a_child_lists_no_more_resources_than_its_parent(world: World) -> None:
    second = world.make_resource(world.application)
    a, b, c = world.spawn(), world.spawn(), world.spawn()
    world.delegate(a, b, **hops(3))
    both = {"resources": [world.resource.identifier, second.identifier]}
    refused = [
        world.try_delegate(b, c, constraints=both),
        world.try_delegate(b, c, resource_id=None, constraints=both),
        world.try_delegate(b, c, resource_id=second.id),
        world.try_delegate(b, c, resource_id=None, grants=(BROAD,)),
    ]
    assert [refusal(answer) for answer in refused] == [EXCEEDS] * 4
    own = {"resources": [world.resource.identifier]}
    assert world.delegate(b, c, resource_id=None, constraints=own)


def test_an_edge_whose_resource_was_archived_grants_no_other(world: World) -> None:
    second = world.make_resource(world.make_application())
    a, b, c = world.spawn(), world.spawn(), world.spawn()
    world.delegate(a, b, **hops(3))
    Resource.objects.filter(id=world.resource.id).update(archived_at=timezone.now())
    assert refusal(world.try_delegate(b, c, resource_id=second.id)) == EXCEEDS
    broad = world.try_delegate(b, c, resource_id=None, scopes=[], grants=(BROAD,))
    assert refusal(broad) == EXCEEDS


def test_lifetimes_and_budgets_only_shrink(world: World) -> None:
    a, b, c = world.spawn(), world.spawn(), world.spawn()
    world.delegate(
        a,
        b,
        scopes=[READ, WRITE],
        ttl_seconds=600,
        constraints={"max_hops": 3, "budget": 1},
    )
    for members, exceeds in (
        ({"ttl_seconds": 601}, "ttl_seconds"),
        ({"ttl_seconds": 600, "scopes": [READ, WRITE]}, "budget"),
        ({"ttl_seconds": 600, "constraints": {"budget": 2}}, "budget"),
    ):
        answer = world.try_delegate(b, c, **members)
        assert refusal(answer) == EXCEEDS
        assert exceeded(answer) == exceeds
    late = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = world.try_delegate(b, c, ttl_seconds=60, expires_at=late)
    assert exceeded(answer) == "expires_at"
    edge = world.edge(world.delegate(b, c, ttl_seconds=600))
    assert (
        edge.expires_at <= DelegationEdge.objects.get(id=edge.parent_edge_id).expires_at
    )


def test_a_circle_of_any_length_is_refused(world: World) -> None:
    agents = [world.spawn() for _ in range(14)]
    # Built from the far end, where every source is a root still.
    chain = list(pairwise(agents))
    for source, target in reversed(chain):
        world.delegate(source, target, **hops(5))
    for target in (agents[12], agents[5], agents[0]):
        answer = world.try_delegate(agents[13], target)
        assert refusal(answer) == (409, "delegation_cycle_denied")
    assert world.try_delegate(agents[13], world.spawn()).status_code == 201


def test_an_edge_into_an_agent_with_children_closes_no_circle(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    child = world.spawn(a)
    assert world.delegate(b, a, **hops(2))
    assert refusal(world.try_delegate(a, b)) == (409, "delegation_cycle_denied")
    assert AgentSession.objects.get(id=child["agent_session_id"]).narrowed is False
