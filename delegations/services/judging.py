"""What the rules say about a delegation that is asked for, given the facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.errors import OutsideAgentSubtree
from agents.rules import within_subtree
from caracal_site.actors import COORDINATOR_ADMIN, Actor
from caracal_site.times import from_wire
from delegations import errors, rules

DELEGATE_FROM = "coordinator.delegate_from:"
DELEGATE_TO = "coordinator.delegate_to:"
DELEGATE_BROAD = "coordinator.delegate_broad"


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


def acts_as_issuer(actor: Actor, application_id: str) -> bool:
    """Owns the application, or holds ``coordinator.delegate_from:`` it."""
    return actor.owns_application(application_id) or actor.has_scope(
        DELEGATE_FROM + application_id
    )


def refuse_unpermitted(actor: Actor, request: DelegationRequest, broad: bool) -> None:
    issuer, receiver = request.issuer_application_id, request.receiver_application_id
    if not acts_as_issuer(actor, issuer):
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


def refuse_endpoints(
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


def chosen_parent(
    request: DelegationRequest,
    source: dict[str, Any],
    parents: Sequence[dict[str, Any]],
) -> dict[str, Any] | None:
    """The edge the new one rests on; None for a source with root authority (D10)."""
    if request.parent_edge_id is not None:
        for edge in parents:
            if edge["id"] == request.parent_edge_id:
                return edge
        raise errors.ParentNotActive
    if not source["narrowed"]:
        return None
    if not parents:
        raise errors.ExceedsParentAuthority("The source's own delegation has ended.")
    if len(parents) > 1:
        raise errors.ParentAmbiguous
    return parents[0]


def resources(
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


def refuse_undeclared(
    request: DelegationRequest,
    resources: Sequence[dict[str, Any]],
    issuer_scopes: set[str] | None,
) -> None:
    """``issuer_scopes`` are what a broad edge may pass on; None for all others."""
    declared = issuer_scopes
    if declared is None:
        declared = {scope for resource in resources for scope in resource["scopes"]}
    if not set(request.scopes) <= declared:
        raise errors.ScopesExceedResource


def expiry(
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


def refuse_widening(
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
