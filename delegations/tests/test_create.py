"""Creating an edge over the API: shapes, the order of refusals, what is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.models import AgentSession
from caracal_site.ids import new_id
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import ADMIN, BROAD, READ, WRITE, World, refusal
from caracal_site.times import to_wire
from delegations.models import DelegationEdge
from tokens.tests.factories import make_resource
from zones.models import Resource


def test_an_edge_tells_what_it_grants_and_why(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b, scopes=[READ, WRITE, READ])
    row = world.edge(edge)
    assert edge == {
        "delegation_edge_id": row.id,
        "zone_id": world.zone.id,
        "source_session_id": a["agent_session_id"],
        "target_session_id": b["agent_session_id"],
        "issuer_application_id": world.application.id,
        "receiver_application_id": world.application.id,
        "parent_edge_id": None,
        "resource_id": world.resource.id,
        "scopes": [READ, WRITE],
        "constraints_json": {"ttl_seconds": 3600},
        "status": "active",
        "expires_at": to_wire(row.expires_at),
        "edge_version": 0,
        "revoked_at": None,
        "created_at": to_wire(row.created_at),
        "warnings": [],
        "allow_reason": [
            "same_zone_endpoints_active",
            "resource_scope_checked",
            "source_authority_root",
            "typed_constraints_validated",
        ],
        "effective_authority": {
            "source_session_id": a["agent_session_id"],
            "target_session_id": b["agent_session_id"],
            "parent_edge_id": None,
            "resource_id": world.resource.id,
            "resources": [world.resource.identifier],
            "scopes": [READ, WRITE],
            "expires_at": to_wire(row.expires_at),
            "max_hops": 1,
            "ttl_seconds": 3600,
            "broad": False,
            "parent_edges_considered": [],
        },
    }
    assert (row.depth, row.root_edge_id, row.max_hops) == (0, row.id, 1)
    listed = world.get(f"/delegations/inbound/{b['agent_session_id']}").json()["items"]
    assert listed == [
        {"id": row.id}
        | {
            name: edge[name]
            for name in edge
            if name
            not in (
                "delegation_edge_id",
                "warnings",
                "allow_reason",
                "effective_authority",
            )
        }
    ]


def test_a_new_edge_narrows_its_target_and_is_told(
    world: World, events: Events
) -> None:
    a, b = world.spawn(), world.spawn()
    events.take()
    before = world.epoch()
    edge = world.delegate(a, b)
    assert world.agent(b).narrowed
    assert not world.agent(a).narrowed
    left = events.take()
    assert left.keys == [f"edge_create:{edge['delegation_edge_id']}"]
    assert left.payloads("caracal.delegations.invalidate") == [
        {
            "event": "edge_create",
            "zone_id": world.zone.id,
            "edge_id": edge["delegation_edge_id"],
            "source_session_id": a["agent_session_id"],
            "target_session_id": b["agent_session_id"],
            "epoch": before + 1,
        }
    ]
    world.delegate(a, b)
    told = events.take().outbox[0].payload_json["epoch"]
    assert told == world.epoch() == before + 2


def test_constraints_are_merged_and_normalised(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(
        a,
        b,
        resource_id=None,
        ttl_seconds=30,
        constraints_json={"max_depth": 4, "budget": 3},
        constraints={"resources": [world.resource.identifier], "max_depth": 2},
    )
    assert edge["constraints_json"] == {
        "resources": [world.resource.identifier],
        "max_depth": 2,
        "max_hops": 2,
        "ttl_seconds": 30,
        "budget": 3,
    }
    assert world.edge(edge).max_hops == 2


def test_a_constraint_s_own_ttl_wins(world: World) -> None:
    edge = world.delegate(world.spawn(), world.spawn(), constraints={"ttl_seconds": 9})
    row = world.edge(edge)
    assert row.expires_at - row.created_at == timedelta(seconds=9)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"constraints": {"nonsense": 1}}, "invalid_delegation_constraint"),
        ({"constraints": {"max_hops": 0}}, "invalid_max_hops"),
        ({"constraints": {"max_hops": 11}}, "invalid_max_hops"),
        ({"constraints": {"max_hops": 2.0}}, "invalid_max_hops"),
        ({"constraints": {"max_hops": True}}, "invalid_max_hops"),
        ({"constraints": {"max_hops": 10**30}}, "invalid_body"),
        ({"constraints": {"max_depth": 11}}, "invalid_max_depth"),
        ({"constraints": {"max_depth": 2, "max_hops": 3}}, "invalid_max_hops"),
        ({"constraints": {"ttl_seconds": 86_401}}, "invalid_ttl_seconds"),
        ({"constraints": {"budget": 1_025}}, "invalid_budget"),
        ({"constraints": {"resources": "x"}}, "invalid_resources"),
        ({"constraints": {"resources": [""]}}, "invalid_resources"),
        ({"constraints": {"resources": ["x"] * 65}}, "invalid_resources"),
        ({"constraints": {"policy_approved": "yes"}}, "invalid_policy_approved"),
        ({"constraints": {"expires_at": "2030-01-01"}}, "invalid_expires_at"),
        (
            {"constraints": {"expires_at": "2030-01-01T00:00:00+01:00"}},
            "invalid_expires_at",
        ),
        ({"constraints": {"broad_reason": ""}}, "invalid_broad_reason"),
        ({"constraints": {"broad_reason": "x" * 257}}, "invalid_broad_reason"),
        ({"constraints": None}, "invalid_body"),
        ({"constraints_json": []}, "invalid_body"),
        ({"expires_at": "2030-01-01"}, "invalid_body"),
        ({"expires_at": "0000-01-01T00:00:00Z"}, "invalid_body"),
        ({"scopes": [""]}, "invalid_body"),
        ({"scopes": "x"}, "invalid_body"),
        ({"parent_edge_id": None}, "invalid_body"),
        ({"ttl_seconds": 0}, "invalid_body"),
        ({"surprise": True}, "invalid_body"),
        ({"ttl_seconds": None}, "delegation_expiry_required"),
    ],
    ids=str,
)
def test_a_wrong_member_is_refused_by_name(
    world: World, members: dict[str, Any], code: str
) -> None:
    somebody = {"agent_session_id": "x", "application_id": world.application.id}
    other = somebody | {"agent_session_id": "y"}
    answer = world.try_delegate(somebody, other, **members)
    assert refusal(answer) == (400, code)


def test_the_reasons_come_in_the_order_of_the_contract(world: World) -> None:
    other = world.make_application()
    a, b = world.spawn(), world.spawn(by=other)
    foreign = {"issuer_application_id": other.id, "receiver_application_id": other.id}
    assert refusal(world.try_delegate(a, a, resource_id=None, **foreign)) == (
        403,
        "issuer_ownership_required",
    )
    assert refusal(
        world.try_delegate(a, a, resource_id=None, receiver_application_id=other.id)
    ) == (403, "receiver_consent_required")
    assert refusal(world.try_delegate(a, a, resource_id=None)) == (
        400,
        "self_delegation_denied",
    )
    assert refusal(
        world.try_delegate(
            a, b, resource_id=None, receiver_application_id=world.application.id
        )
    ) == (403, "broad_delegation_permission_required")
    ghost = b | {"agent_session_id": new_id(), "application_id": world.application.id}
    assert refusal(world.try_delegate(a, ghost, resource_id="nothing")) == (
        404,
        "delegation_endpoint_not_found",
    )
    assert refusal(
        world.try_delegate(
            a, b, receiver_application_id=world.application.id, resource_id="nothing"
        )
    ) == (409, "delegation_application_mismatch")


def test_admin_is_consent_and_breadth_but_not_ownership(world: World) -> None:
    other = world.make_application()
    a, b = world.spawn(), world.spawn(by=other)
    assert refusal(world.try_delegate(b, a, grants=(ADMIN,))) == (
        403,
        "issuer_ownership_required",
    )
    assert world.try_delegate(a, b, grants=(ADMIN,)).status_code == 201
    broad = world.try_delegate(a, b, grants=(ADMIN,), resource_id=None, scopes=[])
    assert broad.status_code == 201


def test_another_may_issue_with_its_leave(world: World) -> None:
    other = world.make_application()
    a, b = world.spawn(), world.spawn()
    leave = (f"coordinator.delegate_from:{world.application.id}",)
    assert world.try_delegate(a, b, by=other, grants=leave).status_code == 201
    c = world.spawn(by=world.make_application())
    assert refusal(world.try_delegate(a, c, by=other, grants=leave)) == (
        403,
        "receiver_consent_required",
    )


@pytest.mark.parametrize("lifecycle", ["task", "service"])
def test_an_endpoint_past_its_time_is_none(world: World, lifecycle: str) -> None:
    a, b = world.spawn(lifecycle=lifecycle), world.spawn(lifecycle=lifecycle)
    past = timezone.now() - timedelta(seconds=1)
    change = (
        {"expires_at": past} if lifecycle == "task" else {"heartbeat_deadline_at": past}
    )
    AgentSession.objects.filter(id=b["agent_session_id"]).update(**change)
    for source, target in ((a, b), (b, a)):
        assert refusal(world.try_delegate(source, target)) == (
            404,
            "delegation_endpoint_not_found",
        )


def test_another_spelling_of_a_resource_names_it_too(world: World) -> None:
    kept = f"https://{new_id()}.example.com"
    resource = Resource.objects.get(
        identifier=make_resource(world.zone, world.application, READ, identifier=kept)
    )
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b, resource_id=f"{kept}:443/", scopes=[READ])
    assert world.edge(edge).resource_id == resource.id
    listed = world.delegate(
        a,
        b,
        resource_id=None,
        scopes=[READ],
        constraints={"resources": [f"{kept}/", kept.replace("example", "EXAMPLE")]},
    )
    assert world.edge(listed).constraints_json["resources"] == [kept]


def test_a_resource_is_named_by_id_or_identifier(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b, resource_id=world.resource.identifier)
    assert edge["resource_id"] == world.resource.id
    for missing in (new_id(), "resource://nothing"):
        assert refusal(world.try_delegate(a, b, resource_id=missing)) == (
            404,
            "resource_not_found",
        )
    assert refusal(
        world.try_delegate(a, b, constraints={"resources": ["resource://nothing"]})
    ) == (404, "resource_not_found")
    Resource.objects.filter(id=world.resource.id).update(archived_at=timezone.now())
    assert refusal(world.try_delegate(a, b)) == (404, "resource_not_found")


def test_the_resource_must_be_among_those_listed(world: World) -> None:
    second = world.make_resource(world.application)
    a, b = world.spawn(), world.spawn()
    listed = {"resources": [second.identifier]}
    assert refusal(world.try_delegate(a, b, constraints=listed)) == (
        400,
        "delegation_resource_scope_mismatch",
    )
    both = {"resources": [second.identifier, world.resource.identifier]}
    edge = world.delegate(a, b, constraints=both)
    assert edge["effective_authority"]["resources"] == sorted(both["resources"])


def test_a_root_delegates_what_its_application_owns(world: World) -> None:
    other = world.make_application()
    a, b = world.spawn(), world.spawn()
    for resource in (world.make_resource(other), world.make_resource(None)):
        assert refusal(world.try_delegate(a, b, resource_id=resource.id)) == (
            403,
            "resource_ownership_required",
        )


def test_scopes_stay_within_the_resources_together(world: World) -> None:
    narrow = world.make_resource(world.application, "mail:send")
    a, b = world.spawn(), world.spawn()
    assert refusal(world.try_delegate(a, b, scopes=["mail:send"])) == (
        403,
        "delegation_scopes_exceed_resource",
    )
    both = {"resources": [narrow.identifier, world.resource.identifier]}
    assert world.delegate(a, b, constraints=both, scopes=["mail:send", READ])


def test_a_broad_edge_carries_scopes_of_the_issuer_s_resources_only(
    world: World,
) -> None:
    a, b = world.spawn(), world.spawn()
    foreign = world.make_resource(world.make_application(), "mail:send")
    grants = (BROAD,)
    edge = world.delegate(a, b, resource_id=None, scopes=[READ], grants=grants)
    assert edge["warnings"] == ["resource_null_delegation_broadens_resource_matching"]
    assert edge["constraints_json"]["broad_reason"] == "resource_null_delegation"
    assert edge["effective_authority"]["broad"] is True
    assert "broad_delegation_elevated" in edge["allow_reason"]
    for scopes in (["anything:at-all"], list(foreign.scopes)):
        answer = world.try_delegate(
            a, b, resource_id=None, scopes=scopes, grants=grants
        )
        assert refusal(answer) == (403, "delegation_scopes_exceed_resource")


def test_a_broad_edge_takes_the_permission_of_its_issuer(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    for scope in (f"{BROAD}:{new_id()}", f"{BROAD}:", "coordinator"):
        answer = world.try_delegate(a, b, resource_id=None, grants=(scope,))
        assert refusal(answer) == (403, "broad_delegation_permission_required")
    own = (f"{BROAD}:{world.application.id}",)
    assert world.try_delegate(a, b, resource_id=None, grants=own).status_code == 201


def test_nobody_approves_for_the_policy(world: World) -> None:
    edge = world.delegate(
        world.spawn(), world.spawn(), constraints={"policy_approved": True}
    )
    assert "policy_approved" not in edge["constraints_json"]
    assert "policy_approved" not in world.edge(edge).constraints_json


def test_an_edge_ends_with_the_earliest_of_its_bounds(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    soon, late = (
        to_wire(timezone.now() + timedelta(minutes=minutes)) for minutes in (5, 500)
    )
    within = world.delegate(a, b, expires_at=late, constraints={"expires_at": soon})
    assert within["expires_at"] == soon
    by_ttl = world.delegate(a, b, expires_at=late, ttl_seconds=60)
    lifetime = world.edge(by_ttl).expires_at - world.edge(by_ttl).created_at
    assert lifetime == timedelta(seconds=60)
    past = to_wire(timezone.now() - timedelta(seconds=5))
    answer = world.try_delegate(a, b, expires_at=past)
    assert refusal(answer) == (400, "delegation_expired")


@pytest.mark.parametrize("year", ["9999", "0001"])
def test_the_ends_of_time_are_no_accident(world: World, year: str) -> None:
    answer = world.try_delegate(
        world.spawn(), world.spawn(), expires_at=f"{year}-12-31T23:59:59.999999999Z"
    )
    assert answer.status_code in (201, 400)


def test_two_alike_are_two_edges(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    world.delegate(a, b)
    world.delegate(a, b)
    edges = DelegationEdge.objects.inbound_to(b["agent_session_id"])
    assert edges.count() == 2
    assert datetime.fromisoformat(world.delegate(a, b)["expires_at"])


def test_a_bound_token_delegates_from_its_subtree_only(world: World) -> None:
    a, b = world.spawn(), world.spawn()
    child = world.spawn(a)
    bound = world.token(agent_session_id=a["agent_session_id"])
    assert world.try_delegate(a, b, token=bound).status_code == 201
    assert world.try_delegate(child, b, token=bound).status_code == 201
    assert refusal(world.try_delegate(b, child, token=bound)) == (
        403,
        "outside_agent_subtree",
    )
