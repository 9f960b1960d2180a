"""Delegate and revoke by the flat ``/v1`` calls (coordinator.md 8)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, UnsetType

from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.flat import PathId, ZoneId, flat_route, path_id, zone_of
from caracal_site.coordinator.keyed import once
from caracal_site.coordinator.routes import Call, Route
from delegations import services
from delegations.coordinator import (
    DELEGATION_REFUSALS,
    REVOCATION_REFUSALS,
    CreatedEdge,
    Id,
    Revoked,
    Scope,
    expiry_of,
    revoked,
)


class FlatDelegation(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What both ways to delegate take. ``resource_id`` takes an id or an identifier."""

    zone_id: ZoneId
    issuer_application_id: Id
    receiver_application_id: Id
    expires_at: str
    resource_id: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    scopes: Annotated[list[Scope], Meta(max_length=1_024)] = []
    constraints_json: dict[str, Any] = {}
    parent_edge_id: Id | UnsetType = UNSET


class ExchangeBody(FlatDelegation, forbid_unknown_fields=True, kw_only=True):
    """A new delegation edge."""

    source_session_id: Id
    target_session_id: Id


class DelegateToBody(FlatDelegation, forbid_unknown_fields=True, kw_only=True):
    """A new delegation edge from an agent to another that exists."""

    from_agent_session_id: Id
    to_agent_session_id: Id


class RevokeDelegationBody(msgspec.Struct, forbid_unknown_fields=True):
    """The delegation edge to revoke."""

    zone_id: ZoneId
    delegation_edge_id: PathId


async def exchange(call: Call) -> HttpResponse:
    body = call.body
    return await _delegated(call, body.source_session_id, body.target_session_id)


async def delegate_to_existing_agent(call: Call) -> HttpResponse:
    body = call.body
    return await _delegated(call, body.from_agent_session_id, body.to_agent_session_id)


async def _delegated(call: Call, source_id: str, target_id: str) -> HttpResponse:
    zone_id, body = zone_of(call), call.body
    request = services.DelegationRequest(
        source_session_id=source_id,
        target_session_id=target_id,
        issuer_application_id=body.issuer_application_id,
        receiver_application_id=body.receiver_application_id,
        parent_edge_id=or_none(body.parent_edge_id),
        resource=body.resource_id,
        scopes=tuple(dict.fromkeys(body.scopes)),
        constraints_json=body.constraints_json,
        expires_at=expiry_of(body.expires_at),
    )
    return await once(
        call,
        lambda: services.create_delegation(
            call.actor, zone_id=zone_id, request=request
        ).as_json(),
    )


async def revoke_delegation(call: Call) -> HttpResponse:
    zone_id = zone_of(call)
    edge_id = path_id(call.body.delegation_edge_id)
    return await once(
        call,
        lambda: revoked(
            services.revoke_delegation(
                call.actor,
                zone_id=zone_id,
                edge_id=edge_id,
                reason="delegation_revoked",
            )
        ),
    )


routes: list[Route] = [
    flat_route(
        "/v1/exchange",
        "delegations:exchange",
        exchange,
        "Delegate part of an agent's authority to another agent.",
        body=ExchangeBody,
        status=201,
        answer=CreatedEdge,
        errors=DELEGATION_REFUSALS,
    ),
    flat_route(
        "/v1/delegate-to-existing-agent",
        "delegations:delegate-to-existing-agent",
        delegate_to_existing_agent,
        "Delegate part of an agent's authority to an agent that exists.",
        body=DelegateToBody,
        status=201,
        answer=CreatedEdge,
        errors=DELEGATION_REFUSALS,
    ),
    flat_route(
        "/v1/revoke-delegation",
        "delegations:revoke-delegation",
        revoke_delegation,
        "Revoke an edge with everything that rests on it.",
        body=RevokeDelegationBody,
        answer=Revoked,
        errors=("invalid_params", *REVOCATION_REFUSALS),
    ),
]
