"""The coordinator's routes of delegation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, UnsetType

from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.keyed import once
from caracal_site.coordinator.listing import PageQuery
from caracal_site.coordinator.routes import Call, Route
from caracal_site.coordinator.threads import in_db
from caracal_site.errors import InvalidBody, Issue
from caracal_site.times import from_wire
from delegations import queries, services

Id = Annotated[str, Meta(min_length=1, max_length=128)]
Scope = Annotated[str, Meta(min_length=1, max_length=200)]
TRAVERSE_PAGE = 1_000


class DelegateBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new delegation edge. ``resource_id`` takes an id or an identifier."""

    source_session_id: Id
    target_session_id: Id
    issuer_application_id: Id
    receiver_application_id: Id
    parent_edge_id: Id | UnsetType = UNSET
    resource_id: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    scopes: Annotated[list[Scope], Meta(max_length=1_024)] = []
    constraints: dict[str, Any] | UnsetType = UNSET
    constraints_json: dict[str, Any] | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    ttl_seconds: Annotated[int, Meta(ge=1, le=86_400)] | UnsetType = UNSET


class TraverseQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a walk, and from where."""

    limit: Annotated[int, Meta(ge=1, le=TRAVERSE_PAGE)] = TRAVERSE_PAGE
    cursor: Annotated[str, Meta(min_length=1, max_length=512)] | None = None


class EdgeFacts(msgspec.Struct):
    """What every answer about an edge says."""

    zone_id: str
    source_session_id: str
    target_session_id: str
    issuer_application_id: str
    receiver_application_id: str
    parent_edge_id: str | None
    resource_id: str | None
    scopes: list[str]
    constraints_json: dict[str, Any]
    status: str
    expires_at: str
    edge_version: int
    revoked_at: str | None
    created_at: str


class Edge(EdgeFacts):
    """A delegation edge."""

    id: str


class EdgePage(msgspec.Struct):
    items: list[Edge]
    next_cursor: str | None


class Link(msgspec.Struct):
    """An edge on a walk; depth 1 is the edge asked for, 0 one not on a path from it."""

    id: str
    source_session_id: str
    target_session_id: str
    depth: int


class Granted(msgspec.Struct):
    """What a new edge amounts to."""

    source_session_id: str
    target_session_id: str
    parent_edge_id: str | None
    resource_id: str | None
    resources: list[str]
    scopes: list[str]
    expires_at: str
    max_hops: int
    ttl_seconds: int | None
    broad: bool
    parent_edges_considered: list[str]


class CreatedEdge(EdgeFacts):
    """A new delegation edge and why it was allowed."""

    delegation_edge_id: str
    warnings: list[str]
    allow_reason: list[str]
    effective_authority: Granted


class Impact(msgspec.Struct):
    """What a revocation would end."""

    edge_id: str
    affected_edges: list[Link]
    affected_agents: list[str]
    narrowed_agents: list[str]
    affected_subject_sessions: list[str]
    affected_invocations: list[str]


class Revoked(msgspec.Struct):
    revoked_edges: int
    affected_sessions: int
    terminated_agents: int


class EffectiveAuthority(msgspec.Struct):
    """What an agent may do by its live inbound edges; ``root`` when it was never
    narrowed and acts on its application's own authority."""

    agent_session_id: str
    exists: bool
    root: bool
    inbound_edges: list[str]
    effective_scopes: list[str]
    effective_resources: list[str]
    effective_max_hops: int
    effective_ttl_seconds: int | None
    earliest_expires_at: str | None
    effective_resource_ids: list[str] | UnsetType = UNSET
    effective_resource_constrained: bool | UnsetType = UNSET


async def create(call: Call) -> HttpResponse:
    body: DelegateBody = call.body
    request = services.DelegationRequest(
        source_session_id=body.source_session_id,
        target_session_id=body.target_session_id,
        issuer_application_id=body.issuer_application_id,
        receiver_application_id=body.receiver_application_id,
        parent_edge_id=or_none(body.parent_edge_id),
        resource=body.resource_id,
        scopes=tuple(dict.fromkeys(body.scopes)),
        constraints=or_none(body.constraints),
        constraints_json=or_none(body.constraints_json),
        expires_at=expiry_of(or_none(body.expires_at)),
        ttl_seconds=or_none(body.ttl_seconds),
    )
    return await once(
        call,
        lambda: services.create_delegation(
            call.actor, zone_id=call.zone_id, request=request
        ).as_json(),
    )


def expiry_of(text: str | None) -> datetime | None:
    """The moment ``expires_at`` names. Raises InvalidBody."""
    try:
        return None if text is None else from_wire(text)
    except ValueError as error:
        raise InvalidBody([Issue(("expires_at",), str(error))]) from None


async def list_active(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_active, call.actor, zone_id=call.zone_id, query=call.query
        )
    )


async def list_inbound(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_inbound,
            call.actor,
            zone_id=call.zone_id,
            agent_id=call.params["session_id"],
            query=call.query,
        )
    )


async def list_outbound(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_outbound,
            call.actor,
            zone_id=call.zone_id,
            agent_id=call.params["session_id"],
            query=call.query,
        )
    )


async def traverse(call: Call) -> HttpResponse:
    links, following = await in_db(
        queries.traverse,
        call.actor,
        zone_id=call.zone_id,
        edge_id=call.params["id"],
        limit=call.query.limit,
        cursor=call.query.cursor,
    )
    headers = {}
    if following:
        path = f"{call.request.path}?limit={call.query.limit}&cursor={following}"
        headers["Link"] = f'<{path}>; rel="next"'
    return answer(links, headers=headers)


async def impact(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.impact, call.actor, zone_id=call.zone_id, edge_id=call.params["id"]
        )
    )


async def effective_authority(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.effective_authority,
            call.actor,
            zone_id=call.zone_id,
            agent_id=call.params["session_id"],
        )
    )


async def revoke(call: Call) -> HttpResponse:
    revocation = await in_db(
        services.revoke_delegation,
        call.actor,
        zone_id=call.zone_id,
        edge_id=call.params["id"],
        reason="delegation_revoked",
    )
    return answer(revoked(revocation))


def revoked(revocation: services.Revocation) -> dict[str, int]:
    """How much has ended, as the wire has it."""
    return {
        "revoked_edges": len(revocation.fall.edges),
        "affected_sessions": len(revocation.affected_sessions),
        "terminated_agents": len(revocation.fall.agents),
    }


DELEGATIONS = "/zones/{zone_id}/delegations"
REVOCATION_REFUSALS = (
    "issuer_ownership_required",
    "outside_agent_subtree",
    "delegation_not_found",
)
DELEGATION_REFUSALS = (
    "invalid_delegation_constraint",
    "delegation_expiry_required",
    "delegation_expired",
    "delegation_resource_scope_mismatch",
    "self_delegation_denied",
    "broad_delegation_permission_required",
    "delegation_exceeds_parent_authority",
    "delegation_scopes_exceed_resource",
    "issuer_ownership_required",
    "outside_agent_subtree",
    "parent_delegation_not_active",
    "receiver_consent_required",
    "resource_ownership_required",
    "delegation_endpoint_not_found",
    "resource_not_found",
    "delegation_application_mismatch",
    "delegation_cycle_denied",
    "parent_delegation_ambiguous",
)
routes = [
    Route(
        "POST",
        DELEGATIONS,
        "delegations:edge-create",
        create,
        "Delegate part of an agent's authority to another agent.",
        body=DelegateBody,
        status=201,
        answer=CreatedEdge,
        errors=DELEGATION_REFUSALS,
        tags=("delegations",),
    ),
    Route(
        "GET",
        DELEGATIONS + "/active",
        "delegations:edge-active",
        list_active,
        "List the edges in force, newest first.",
        query=PageQuery,
        answer=EdgePage,
        operator=True,
        tags=("delegations",),
    ),
    Route(
        "GET",
        DELEGATIONS + "/inbound/{session_id}",
        "delegations:edge-inbound",
        list_inbound,
        "List the edges into an agent session.",
        query=PageQuery,
        answer=EdgePage,
        operator=True,
        tags=("delegations",),
    ),
    Route(
        "GET",
        DELEGATIONS + "/outbound/{session_id}",
        "delegations:edge-outbound",
        list_outbound,
        "List the edges from an agent session.",
        query=PageQuery,
        answer=EdgePage,
        operator=True,
        tags=("delegations",),
    ),
    Route(
        "GET",
        DELEGATIONS + "/{id}/traverse",
        "delegations:edge-traverse",
        traverse,
        "Walk the edges reachable from an edge, nearest first.",
        query=TraverseQuery,
        answer=list[Link],
        operator=True,
        tags=("delegations",),
    ),
    Route(
        "GET",
        DELEGATIONS + "/{id}/impact",
        "delegations:edge-impact",
        impact,
        "Preview what revoking an edge would end.",
        answer=Impact,
        operator=True,
        errors=("delegation_not_found",),
        tags=("delegations",),
    ),
    Route(
        "PATCH",
        DELEGATIONS + "/{id}/revoke",
        "delegations:edge-revoke",
        revoke,
        "Revoke an edge with everything that rests on it.",
        answer=Revoked,
        operator=True,
        errors=REVOCATION_REFUSALS,
        tags=("delegations",),
    ),
    Route(
        "GET",
        "/zones/{zone_id}/agents/{session_id}/effective-authority",
        "delegations:effective-authority",
        effective_authority,
        "What an agent session may do by its live inbound edges.",
        answer=EffectiveAuthority,
        operator=True,
        tags=("delegations",),
    ),
]
