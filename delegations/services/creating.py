"""Create an edge: authority passed on, never wider than held (coordinator.md 7.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction

from audit import record
from caracal_site import locks, statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from caracal_site.ids import new_id
from delegations import constraints as typed
from delegations import errors, rules
from delegations.events import DelegationCreated
from delegations.services import judging
from delegations.services.judging import DelegationRequest
from tokens.bearer import caller_parameters, refuse_dead_caller

BROAD_WARNING = "resource_null_delegation_broadens_resource_matching"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedDelegation:
    """The new edge, and why it was allowed."""

    delegation_edge_id: str
    zone_id: str
    request: DelegationRequest
    parent_edge_id: str | None
    resource_id: str | None
    resource_identifiers: tuple[str, ...]
    constraints_json: dict[str, Any]
    expires_at: datetime
    created_at: datetime
    max_hops: int
    broad: bool
    parents_considered: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        request = self.request
        shared = {
            "source_session_id": request.source_session_id,
            "target_session_id": request.target_session_id,
            "parent_edge_id": self.parent_edge_id,
            "resource_id": self.resource_id,
            "scopes": list(request.scopes),
            "expires_at": self.expires_at,
        }
        return {
            "delegation_edge_id": self.delegation_edge_id,
            "zone_id": self.zone_id,
            **shared,
            "issuer_application_id": request.issuer_application_id,
            "receiver_application_id": request.receiver_application_id,
            "constraints_json": self.constraints_json,
            "status": "active",
            "edge_version": 0,
            "revoked_at": None,
            "created_at": self.created_at,
            "warnings": [BROAD_WARNING] if self.broad else [],
            "allow_reason": [
                "same_zone_endpoints_active",
                "broad_delegation_elevated" if self.broad else "resource_scope_checked",
                "parent_authority_narrowed"
                if self.parent_edge_id
                else "source_authority_root",
                "typed_constraints_validated",
            ],
            "effective_authority": {
                **shared,
                "resources": list(self.resource_identifiers),
                "max_hops": self.max_hops,
                "ttl_seconds": self.constraints_json.get("ttl_seconds"),
                "broad": self.broad,
                "parent_edges_considered": list(self.parents_considered),
            },
        }


def create_delegation(
    actor: Actor, *, zone_id: str, request: DelegationRequest
) -> CreatedDelegation:
    """Creates one edge. Raises the refusals of ``delegations.errors`` in the contract's
    order."""
    constraints = typed.normalised(
        request.constraints_json, request.constraints, request.ttl_seconds
    )
    if request.expires_at is None and not constraints.keys() & {
        "expires_at",
        "ttl_seconds",
    }:
        raise errors.ExpiryRequired
    broad = request.resource is None and not constraints.get("resources")
    judging.refuse_unpermitted(actor, request, broad)
    if broad:
        constraints.setdefault("broad_reason", typed.BROAD_REASON)
    return _create(actor, zone_id, request, constraints, broad)


@transaction.atomic
def _create(
    actor: Actor,
    zone_id: str,
    request: DelegationRequest,
    constraints: dict[str, Any],
    broad: bool,
) -> CreatedDelegation:
    now, facts = _facts(actor, zone_id, request, constraints, broad)
    judging.refuse_endpoints(actor, request, facts)
    parent = judging.chosen_parent(request, facts["source"], facts["parents"])
    resources = judging.resources(request, constraints, facts, owned=parent is None)
    # A broad edge below another is held to its parent's scopes alone.
    if not (broad and parent):
        judging.refuse_undeclared(request, resources, facts, broad)
    edge_id = new_id()
    max_hops = constraints.get("max_hops", rules.DEFAULT_HOPS)
    expires_at = judging.expiry(now, request, constraints, parent)
    if parent is not None:
        judging.refuse_widening(
            request, constraints, resources, parent, max_hops, expires_at
        )
    if expires_at <= now:
        raise errors.ExceedsParentAuthority if parent is not None else errors.Expired
    if facts["source"]["narrowed"]:
        _refuse_cycle(zone_id, request)
    single = next(
        (r for r in resources if request.resource in (r["id"], r["identifier"])), None
    )
    event = DelegationCreated(
        zone_id=zone_id,
        entity_id=edge_id,
        source_session_id=request.source_session_id,
        target_session_id=request.target_session_id,
        parent_edge_id=parent["id"] if parent else None,
        scopes=request.scopes,
    )
    evidence = record.prepare(actor, event)
    (created,) = statements.fetch_one(
        "delegations/create",
        {
            "id": edge_id,
            "zone_id": zone_id,
            "source_id": request.source_session_id,
            "target_id": request.target_session_id,
            "issuer": request.issuer_application_id,
            "receiver": request.receiver_application_id,
            "parent_edge_id": parent["id"] if parent else None,
            "root_edge_id": parent["root_edge_id"] if parent else edge_id,
            "depth": parent["depth"] + 1 if parent else 0,
            "max_hops": max_hops,
            "resource_id": single["id"] if single else None,
            "scopes": list(request.scopes),
            "constraints": orjson.dumps(constraints).decode(),
            "expires_at": expires_at,
            **evidence.parameters(),
        },
    )
    if not created:
        raise Changed
    record.written(evidence)
    return CreatedDelegation(
        delegation_edge_id=edge_id,
        zone_id=zone_id,
        request=request,
        parent_edge_id=parent["id"] if parent else None,
        resource_id=single["id"] if single else None,
        resource_identifiers=tuple(r["identifier"] for r in resources),
        constraints_json=constraints,
        expires_at=expires_at,
        created_at=now,
        max_hops=max_hops,
        broad=broad,
        parents_considered=tuple(edge["id"] for edge in facts["parents"]),
    )


def _facts(
    actor: Actor,
    zone_id: str,
    request: DelegationRequest,
    constraints: dict[str, Any],
    broad: bool,
) -> tuple[datetime, dict[str, Any]]:
    zone_live, identity_live, agent_live, now, facts = statements.fetch_one(
        "delegations/facts",
        {
            **caller_parameters(actor),
            "zone_id": zone_id,
            "source_id": request.source_session_id,
            "target_id": request.target_session_id,
            "resource": request.resource,
            "identifiers": constraints.get("resources", []),
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    return now, _completed(orjson.loads(facts), zone_id, request, broad)


def _completed(
    facts: dict[str, Any], zone_id: str, request: DelegationRequest, broad: bool
) -> dict[str, Any]:
    """``facts`` with what only some delegations need: what the source was given, and
    what the issuer owns."""
    facts["parents"], facts["issuer_scopes"] = [], []
    source = facts["source"]
    if source and (source["narrowed"] or request.parent_edge_id):
        named = {"zone_id": zone_id, "source_id": request.source_session_id}
        facts["parents"] = orjson.loads(
            statements.fetch_one("delegations/parents", named)[0]
        )
    if broad:
        named = {"zone_id": zone_id, "issuer": request.issuer_application_id}
        facts["issuer_scopes"] = orjson.loads(
            statements.fetch_one("delegations/issuer_scopes", named)[0]
        )
    return facts


def _refuse_cycle(zone_id: str, request: DelegationRequest) -> None:
    """Refuses an edge whose source can be reached from its target.

    A cycle needs an edge into the source and one from the target. The target is locked,
    so when nothing leaves it now nothing will before COMMIT. Otherwise two edges could
    close a cycle together; those queue for the zone's graph.
    """
    ends = {"from_id": request.target_session_id, "to_id": request.source_session_id}
    reaches, leads_anywhere = statements.fetch_one("delegations/reaches", ends)
    if leads_anywhere and not reaches:
        locks.lock(locks.LockClass.DELEGATION_GRAPH, zone_id)
        reaches, _ = statements.fetch_one("delegations/reaches", ends)
    if reaches:
        raise errors.CycleDenied
