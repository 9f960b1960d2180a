"""One way for what lives in a zone to end, whoever ends it (contract: Better 30).

``foresee_applications`` and ``foresee_zone`` answer what would end;
``end_applications`` and ``end_zone`` end it and answer the same, from the same
questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models.functions import Now

from agents import services as agents
from agents.registry import services as registry
from audit.events import Event
from caracal_site.actors import Actor
from policies.grants import ending as grants
from tokens import services as tokens
from zones.models import AdminToken, Application, Provider, Resource, ZoneUsage
from zones.querysets import AdminTokenQuerySet, InZoneQuerySet
from zones.services import bindings, provider_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What ended, or would.

    What acts is told by ids, and ``gateway_bindings`` by the ids of the resources that
    are left without a gateway; ``standing`` counts what ends with a whole zone, by
    kind. ``events`` is the news of it for the caller's record.
    """

    applications: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    delegations: tuple[str, ...] = ()
    invocations: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    gateway_bindings: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    provider_grants: tuple[str, ...] = ()
    standing: Mapping[str, int] = field(default_factory=dict, hash=False)
    events: tuple[Event, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How much, as the audit trail tells it of an application or of a zone."""
        standing = dict(self.standing)
        unbound = standing.pop("gateway_bindings", len(self.gateway_bindings))
        return {
            "applications": len(self.applications),
            "sessions": len(self.sessions),
            "agents": len(self.agents),
            "delegations": len(self.delegations),
            "bindings": unbound,
            "grants": len(self.grants),
            "provider_grants": len(self.provider_grants),
            **standing,
        }


def foresee_applications(*, zone_id: str, application_ids: Sequence[str]) -> Ended:
    """What would end with these applications."""
    return replace(
        _foresee_acting(zone_id, application_ids),
        applications=tuple(application_ids),
        gateway_bindings=bindings.bound_to(zone_id, application_ids),
        grants=grants.foresee_of_applications(zone_id, application_ids).grants,
    )


def foresee_zone(*, zone_id: str) -> Ended:
    """What would end with the zone."""
    standing = {kind: rows.count() for kind, rows in _standing(zone_id).items()}
    standing["gateway_bindings"] = bindings.number_in(zone_id)
    standing |= grants.number_in(zone_id)
    return replace(_foresee_acting(zone_id, None), standing=standing)


def end_applications(
    actor: Actor, *, zone_id: str, application_ids: Sequence[str], reason: str
) -> Ended:
    """Archives applications, locked by the caller, with all that acts for them."""
    Application.objects.in_zone(zone_id).filter(id__in=application_ids).update(
        archived_at=Now(), updated_at=Now()
    )
    unbound = bindings.unbind_applications(zone_id, application_ids)
    ended = end_acting(
        actor, zone_id=zone_id, application_ids=application_ids, reason=reason
    )
    revoked = grants.end_of_applications(zone_id, application_ids, reason)
    return replace(
        ended,
        applications=tuple(application_ids),
        gateway_bindings=unbound,
        grants=revoked.grants,
    )


def end_zone(actor: Actor, *, zone_id: str, reason: str) -> Ended:
    """Ends all that acts and stands in a zone, which the caller has locked."""
    acting = end_acting(actor, zone_id=zone_id, application_ids=None, reason=reason)
    unbound = bindings.unbind_all(zone_id)
    ZoneUsage.objects.filter(zone_id=zone_id).update(resources=0)
    standing = {kind: _end_all(rows) for kind, rows in _standing(zone_id).items()}
    standing["gateway_bindings"] = unbound
    return replace(acting, standing={**standing, **grants.end_all(zone_id, reason)})


def end_acting(
    actor: Actor,
    *,
    zone_id: str,
    application_ids: Sequence[str] | None,
    reason: str,
    closes: bool = True,
) -> Ended:
    """Ends the agents and sessions of applications, or of the whole zone (None), and
    unless ``closes`` is False their services, and keeps new ones from being made."""
    ended = agents.end_agents_of(
        actor,
        zone_id=zone_id,
        application_ids=application_ids,
        reason=reason,
        closes=closes,
    )
    revoked = tokens.revoke_sessions(
        zone_id=zone_id, client_ids=application_ids, reason=reason
    )
    calls = list(ended.invocations)
    if closes:
        calls += registry.deregister_services_of(
            actor, zone_id=zone_id, application_ids=application_ids, reason=reason
        ).invocations
    return Ended(
        agents=ended.agents,
        delegations=ended.edges,
        invocations=tuple(calls),
        sessions=tuple(event.entity_id for event in revoked),
        events=tuple(revoked),
    )


def _foresee_acting(zone_id: str, application_ids: Sequence[str] | None) -> Ended:
    acting = agents.preview_end_of(zone_id=zone_id, application_ids=application_ids)
    offered = registry.preview_services_of(
        zone_id=zone_id, application_ids=application_ids
    )
    calls = dict.fromkeys((*acting.invocations, *offered.invocations))
    return Ended(
        agents=acting.agents,
        delegations=acting.edges,
        invocations=tuple(calls),
        sessions=tokens.preview_revocation(zone_id=zone_id, client_ids=application_ids),
    )


def _standing(zone_id: str) -> dict[str, InZoneQuerySet[Any] | AdminTokenQuerySet[Any]]:
    """What stands in the zone and ends with it, in the order it does."""
    return {
        "applications": Application.objects.in_zone(zone_id).live(),
        "resources": Resource.objects.in_zone(zone_id).live(),
        "providers": Provider.objects.in_zone(zone_id).live(),
        "admin_tokens": AdminToken.objects.filter(zone_id=zone_id, revoked_at=None),
    }


def _end_all(rows: InZoneQuerySet[Any] | AdminTokenQuerySet[Any]) -> int:
    if rows.model is AdminToken:
        return rows.update(revoked_at=Now())
    erased = provider_secrets.NONE if rows.model is Provider else {}
    return rows.update(**erased, archived_at=Now(), updated_at=Now())
