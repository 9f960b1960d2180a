"""Revocation of an edge with all that rests on it (coordinator.md 7.3, D12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from agents.errors import OutsideAgentSubtree
from caracal_site import statements
from caracal_site.actors import COORDINATOR_ADMIN, Actor
from delegations import errors
from delegations.events import DelegationRevoked
from delegations.services.ending import Fall, carry_out, foresee
from delegations.services.judging import acts_as_issuer
from tokens.bearer import caller_parameters, refuse_dead_caller


@dataclass(frozen=True, slots=True)
class Revocation:
    """What ended, or would end: edges, agents, their subject sessions, invocations."""

    edge_id: str
    fall: Fall

    @property
    def affected_sessions(self) -> list[str]:
        return self.fall.subject_sessions


def may_revoke(actor: Actor, issuer_application_id: str) -> bool:
    return (
        actor.is_operator
        or acts_as_issuer(actor, issuer_application_id)
        or actor.has_scope(COORDINATOR_ADMIN)
    )


@transaction.atomic
def revoke_delegation(
    actor: Actor, *, zone_id: str, edge_id: str, reason: str
) -> Revocation:
    """Ends the edge, every edge made below it, and the agents that nothing else
    justifies. Raises DelegationNotFound when it is not active, and
    IssuerOwnershipRequired."""
    zone_live, identity_live, agent_live, issuer, source, active = statements.fetch_one(
        "delegations/lock",
        {**caller_parameters(actor), "zone_id": zone_id, "id": edge_id},
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if issuer is None:
        raise errors.DelegationNotFound
    if not may_revoke(actor, str(issuer)):
        raise errors.IssuerOwnershipRequired
    _refuse_outside_subtree(actor, source)
    if not active:
        raise errors.DelegationNotFound
    fall = carry_out(
        actor,
        zone_id,
        headline=lambda fall: _headline(zone_id, edge_id, fall),
        reason=reason,
        edge_ids=[edge_id],
    )
    if not fall.edges:
        raise errors.DelegationNotFound
    return Revocation(edge_id, fall)


def preview_revocation(
    *, zone_id: str, edge_id: str, first: Sequence[Any] | None = None
) -> Revocation:
    """What ``revoke_delegation`` would end (``first``: see ``reach``). Raises
    DelegationNotFound."""
    fall = foresee(zone_id, edge_ids=[edge_id], first=first)
    if not fall.edges:
        raise errors.DelegationNotFound
    return Revocation(edge_id, fall)


def revoke_over_resource(
    actor: Actor,
    *,
    zone_id: str,
    resource_id: str,
    identifier: str,
    reason: str,
    session_ids: Sequence[str] | None = None,
) -> Fall:
    """Ends the edges that have no object once the resource is gone, with what rests on
    them; with ``session_ids`` those over the resource, among others or alone, that
    agents on these authority sessions gave or got. The caller has locked what is the
    cause and records the gesture itself. Must run in a transaction."""
    edge_ids = _edges_about(zone_id, resource_id, identifier, session_ids)
    if not edge_ids:
        return Fall(zone_id=zone_id)
    return carry_out(
        actor,
        zone_id,
        headline=lambda fall: _headline(zone_id, edge_ids[0], fall),
        reason=reason,
        edge_ids=edge_ids,
    )


def preview_over_resource(
    *,
    zone_id: str,
    resource_id: str,
    identifier: str,
    session_ids: Sequence[str] | None = None,
) -> Fall:
    """What ``revoke_over_resource`` would end."""
    edge_ids = _edges_about(zone_id, resource_id, identifier, session_ids)
    return foresee(zone_id, edge_ids=edge_ids) if edge_ids else Fall(zone_id=zone_id)


def _edges_about(
    zone_id: str, resource_id: str, identifier: str, session_ids: Sequence[str] | None
) -> list[str]:
    named = {"zone_id": zone_id, "resource_id": resource_id, "identifier": identifier}
    if session_ids is None:
        rows = statements.fetch_all("delegations/about_resource", named)
    else:
        asked = {**named, "session_ids": list(session_ids)}
        rows = statements.fetch_all("delegations/about_resource_on", asked)
    return [str(row[0]) for row in rows]


def _headline(zone_id: str, edge_id: str, fall: Fall) -> DelegationRevoked:
    return DelegationRevoked(
        zone_id=zone_id,
        entity_id=edge_id,
        edges=len(fall.edges),
        agents=len(fall.agents),
        invocations=len(fall.invocations),
    )


def _refuse_outside_subtree(actor: Actor, lineage: list[str] | None) -> None:
    bound = actor.agent_session_id
    if bound and bound not in (lineage or ()):
        raise OutsideAgentSubtree
