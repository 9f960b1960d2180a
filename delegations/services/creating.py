"""Create an edge: authority passed on, never wider than held (coordinator.md 7.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction

from audit import record
from caracal_site import database, locks, statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from caracal_site.ids import new_id
from delegations import constraints as typed
from delegations import errors, rules
from delegations.events import DelegationCreated
from delegations.services import judging
from delegations.services.judging import DelegationRequest
from tokens.bearer import caller_parameters, refuse_dead_caller
from zones.rules import canonical

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
    parents_considered: tuple[str, ...] = ()

    def event(self) -> DelegationCreated:
        return DelegationCreated(
            zone_id=self.zone_id,
            entity_id=self.delegation_edge_id,
            source_session_id=self.request.source_session_id,
            target_session_id=self.request.target_session_id,
            parent_edge_id=self.parent_edge_id,
            scopes=self.request.scopes,
        )

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
    request, constraints = _as_kept(request, constraints)
    broad = request.resource is None and not constraints.get("resources")
    judging.refuse_unpermitted(actor, request, broad)
    if broad:
        constraints.setdefault("broad_reason", typed.BROAD_REASON)
    now, facts = _facts(actor, zone_id, request, constraints)
    judging.refuse_endpoints(actor, request, facts)
    if not (facts["source"]["narrowed"] or request.parent_edge_id):
        # Without a transaction: a source with root authority rests on nothing but
        # itself, and the one statement that writes looks at that again.
        return _create(actor, zone_id, request, constraints, broad, now, facts, [])
    with transaction.atomic():
        # Whether the parent edge is still the one, and whether a cycle closes, is
        # asked under locks.
        statements.fetch_one("delegations/hold", _ends(zone_id, request))
        parents = _parents(zone_id, request)
        return _create(actor, zone_id, request, constraints, broad, now, facts, parents)


def _as_kept(
    request: DelegationRequest, constraints: dict[str, Any]
) -> tuple[DelegationRequest, dict[str, Any]]:
    """Resources in the spelling they are kept in; an id is left as it is."""
    named = request.resource
    if named is not None and "://" in named:
        request = replace(request, resource=canonical(named))
    if "resources" in constraints:
        listed = dict.fromkeys(map(canonical, constraints["resources"]))
        constraints = {**constraints, "resources": list(listed)}
    return request, constraints


def _create(
    actor: Actor,
    zone_id: str,
    request: DelegationRequest,
    constraints: dict[str, Any],
    broad: bool,
    now: datetime,
    facts: dict[str, Any],
    parents: list[dict[str, Any]],
) -> CreatedDelegation:
    parent = judging.chosen_parent(request, facts["source"], parents)
    resources = judging.resources(request, constraints, facts, owned=parent is None)
    # A broad edge below another is held to its parent's scopes alone.
    if not (broad and parent):
        declared = _issuer_scopes(zone_id, request) if broad else None
        judging.refuse_undeclared(request, resources, declared)
    max_hops = constraints.get("max_hops", rules.DEFAULT_HOPS)
    expires_at = judging.expiry(now, request, constraints, parent)
    if parent is not None:
        judging.refuse_widening(
            request, constraints, resources, parent, max_hops, expires_at
        )
    if expires_at <= now:
        raise errors.ExceedsParentAuthority if parent is not None else errors.Expired
    narrowed = bool(facts["source"]["narrowed"])
    if narrowed:
        _refuse_cycle(zone_id, request)
    single = next(
        (r for r in resources if request.resource in (r["id"], r["identifier"])), None
    )
    created = CreatedDelegation(
        delegation_edge_id=new_id(),
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
        parents_considered=tuple(edge["id"] for edge in parents),
    )
    _write(actor, created, parent, narrowed)
    return created


def _write(
    actor: Actor,
    created: CreatedDelegation,
    parent: dict[str, Any] | None,
    narrowed: bool,
) -> None:
    """Writes the edge and its evidence. Raises Changed when what it rests on is not
    what it was."""
    request = created.request
    evidence = record.prepare(actor, created.event(), is_one_statement=True)
    parameters = {
        **_ends(created.zone_id, request),
        "id": created.delegation_edge_id,
        "issuer": request.issuer_application_id,
        "receiver": request.receiver_application_id,
        "narrowed": narrowed,
        "parent_edge_id": created.parent_edge_id,
        "root_edge_id": parent["root_edge_id"]
        if parent
        else created.delegation_edge_id,
        "depth": parent["depth"] + 1 if parent else 0,
        "max_hops": created.max_hops,
        "resource_id": created.resource_id,
        "scopes": list(request.scopes),
        "constraints": orjson.dumps(created.constraints_json).decode(),
        "expires_at": created.expires_at,
        "created_at": created.created_at,
        **evidence.parameters(),
    }
    with database.undone(Changed):
        statements.fetch_one("delegations/create", parameters)
    record.written(evidence)


def _ends(zone_id: str, request: DelegationRequest) -> dict[str, object]:
    return {
        "zone_id": zone_id,
        "source_id": request.source_session_id,
        "target_id": request.target_session_id,
    }


def _facts(
    actor: Actor,
    zone_id: str,
    request: DelegationRequest,
    constraints: dict[str, Any],
) -> tuple[datetime, dict[str, Any]]:
    zone_live, identity_live, agent_live, now, facts = statements.fetch_one(
        "delegations/facts",
        {
            **caller_parameters(actor),
            **_ends(zone_id, request),
            "resource": request.resource,
            "identifiers": constraints.get("resources", []),
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    return now, orjson.loads(facts)


def _parents(zone_id: str, request: DelegationRequest) -> list[dict[str, Any]]:
    """What the source was given and still has."""
    named = {"zone_id": zone_id, "source_id": request.source_session_id}
    found: list[dict[str, Any]] = orjson.loads(
        statements.fetch_one("delegations/parents", named)[0]
    )
    return found


def _issuer_scopes(zone_id: str, request: DelegationRequest) -> set[str]:
    """Every scope of the resources the issuer owns."""
    named = {"zone_id": zone_id, "issuer": request.issuer_application_id}
    return set(
        orjson.loads(statements.fetch_one("delegations/issuer_scopes", named)[0])
    )


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
