"""Create an edge: authority passed on, never wider than held (coordinator.md 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction

from agents.errors import OutsideAgentSubtree
from agents.rules import within_subtree
from audit import record
from caracal_site import locks, statements
from caracal_site.actors import COORDINATOR_ADMIN, Actor
from caracal_site.database import Changed
from caracal_site.ids import new_id
from caracal_site.times import from_wire
from delegations import constraints as typed
from delegations import errors, rules
from delegations.events import DelegationCreated
from delegations.models import DelegationEdge
from tokens.bearer import caller_parameters, refuse_dead_caller

DELEGATE_FROM = "coordinator.delegate_from:"
DELEGATE_TO = "coordinator.delegate_to:"
DELEGATE_BROAD = "coordinator.delegate_broad"
BROAD_WARNING = "resource_null_delegation_broadens_resource_matching"


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationRequest:
    """What a caller asks for, shapes checked; ``resource`` is an id or identifier."""

    source_session_id: str
    target_session_id: str
    issuer_application_id: str
    receiver_application_id: str
    parent_edge_id: str | None = None
    resource: str | None = None
    scopes: tuple[str, ...] = ()
    constraints: Any = None
    constraints_json: Any = None
    expires_at: datetime | None = None
    ttl_seconds: int | None = None


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
    _refuse_unpermitted(actor, request, broad)
    if broad:
        constraints.setdefault("broad_reason", typed.BROAD_REASON)
    return _create(actor, zone_id, request, constraints, broad)


def _refuse_unpermitted(actor: Actor, request: DelegationRequest, broad: bool) -> None:
    issuer, receiver = request.issuer_application_id, request.receiver_application_id
    if not (actor.owns_application(issuer) or actor.has_scope(DELEGATE_FROM + issuer)):
        raise errors.IssuerOwnershipRequired
    consents = (
        receiver == issuer
        or actor.owns_application(receiver)
        or actor.has_scope(DELEGATE_TO + receiver)
        or actor.has_scope(COORDINATOR_ADMIN)
    )
    if not consents:
        raise errors.ReceiverConsentRequired
    if request.source_session_id == request.target_session_id:
        raise errors.SelfDelegation
    permitted = (COORDINATOR_ADMIN, DELEGATE_BROAD, f"{DELEGATE_BROAD}:{issuer}")
    if broad and not any(actor.has_scope(scope) for scope in permitted):
        raise errors.BroadPermissionRequired


@transaction.atomic
def _create(
    actor: Actor,
    zone_id: str,
    request: DelegationRequest,
    constraints: dict[str, Any],
    broad: bool,
) -> CreatedDelegation:
    now, facts = _facts(actor, zone_id, request, constraints, broad)
    _refuse_endpoints(actor, request, facts)
    parent = _chosen_parent(request, facts["source"], facts["parents"])
    resources = _resources(request, constraints, facts, owned=parent is None)
    # A broad edge below another is held to its parent's scopes alone.
    if not (broad and parent):
        _refuse_undeclared(request, resources, facts, broad)
    edge_id = new_id()
    max_hops = constraints.get("max_hops", rules.DEFAULT_HOPS)
    expires_at = _expiry(now, request, constraints, parent)
    if parent is not None:
        _refuse_widening(request, constraints, resources, parent, max_hops, expires_at)
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
            "broad": broad,
            "issuer": request.issuer_application_id,
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    return now, orjson.loads(facts)


def _refuse_endpoints(
    actor: Actor, request: DelegationRequest, facts: dict[str, Any]
) -> None:
    source, target = facts["source"], facts["target"]
    if not (source and source["usable"] and target and target["usable"]):
        raise errors.EndpointNotFound
    if (
        source["application_id"] != request.issuer_application_id
        or target["application_id"] != request.receiver_application_id
    ):
        raise errors.ApplicationMismatch
    bound = actor.agent_session_id
    if bound and not within_subtree(
        bound, request.source_session_id, source["ancestor_ids"]
    ):
        raise OutsideAgentSubtree


def _chosen_parent(
    request: DelegationRequest,
    source: dict[str, Any],
    parents: Sequence[dict[str, Any]],
) -> dict[str, Any] | None:
    """The edge the new one rests on; None for a source with root authority (D10).

    Raises Changed when the first edge came while the source was waited for.
    """
    if request.parent_edge_id is not None:
        for edge in parents:
            if edge["id"] == request.parent_edge_id:
                return edge
        raise errors.ParentNotActive
    if not source["narrowed"]:
        return None
    if not parents:
        live = DelegationEdge.objects.active()
        if live.inbound_to(request.source_session_id).exists():
            raise Changed
        raise errors.ExceedsParentAuthority("The source's own delegation has ended.")
    if len(parents) > 1:
        raise errors.ParentAmbiguous
    return parents[0]


def _resources(
    request: DelegationRequest,
    constraints: dict[str, Any],
    facts: dict[str, Any],
    *,
    owned: bool,
) -> list[dict[str, Any]]:
    """The resources delegated: the single one and the listed ones, all found and, at
    the root of a lineage, all the issuer's."""
    found = facts["resources"]
    listed = set(constraints.get("resources", ()))
    by_identifier = {resource["identifier"]: resource for resource in found}
    if listed - by_identifier.keys():
        raise errors.ResourceNotFound
    if request.resource is not None:
        named = [r for r in found if request.resource in (r["id"], r["identifier"])]
        if not named:
            raise errors.ResourceNotFound
        if listed and named[0]["identifier"] not in listed:
            raise errors.ResourceScopeMismatch
        listed.add(named[0]["identifier"])
    resources = [by_identifier[identifier] for identifier in sorted(listed)]
    if owned and any(r["owner"] != request.issuer_application_id for r in resources):
        raise errors.ResourceOwnershipRequired
    return resources


def _refuse_undeclared(
    request: DelegationRequest,
    resources: Sequence[dict[str, Any]],
    facts: dict[str, Any],
    broad: bool,
) -> None:
    declared = {scope for resource in resources for scope in resource["scopes"]}
    if broad:
        declared = set(facts["issuer_scopes"])
    if not set(request.scopes) <= declared:
        raise errors.ScopesExceedResource


def _expiry(
    now: datetime,
    request: DelegationRequest,
    constraints: dict[str, Any],
    parent: dict[str, Any] | None,
) -> datetime:
    within = constraints.get("expires_at")
    expires_at = rules.earliest_expiry(
        now,
        expires_at=request.expires_at,
        constraint_expires_at=from_wire(within) if within else None,
        ttl_seconds=constraints.get("ttl_seconds"),
        parent_expires_at=datetime.fromisoformat(parent["expires_at"])
        if parent
        else None,
    )
    if expires_at is None:
        raise errors.ExpiryRequired
    return expires_at


def _refuse_widening(
    request: DelegationRequest,
    constraints: dict[str, Any],
    resources: Sequence[dict[str, Any]],
    parent: dict[str, Any],
    max_hops: int,
    expires_at: datetime,
) -> None:
    above = parent["constraints_json"]
    child = rules.Authority(
        scopes=frozenset(request.scopes),
        resource_ids=frozenset(r["id"] for r in resources) if resources else None,
        max_hops=max_hops,
        expires_at=expires_at,
        ttl_seconds=constraints.get("ttl_seconds"),
        budget=constraints.get("budget"),
    )
    holder = rules.Authority(
        scopes=frozenset(parent["scopes"]),
        resource_ids=_resource_ids(parent),
        max_hops=parent["max_hops"],
        expires_at=datetime.fromisoformat(parent["expires_at"]),
        ttl_seconds=above.get("ttl_seconds"),
        budget=above.get("budget"),
    )
    wider = rules.widening(child, holder, explicit_expiry=request.expires_at)
    if wider:
        raise errors.ExceedsParentAuthority(
            f"The delegation would be wider than its parent {parent['id']} in {wider}.",
        )


def _resource_ids(parent: dict[str, Any]) -> frozenset[str] | None:
    """The resources of an edge that still are; None for a broad edge."""
    if parent["resource_id"] is None and not parent["constraints_json"].get(
        "resources"
    ):
        return None
    return frozenset(parent["resource_ids"])


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
